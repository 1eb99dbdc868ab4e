import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { connect, type NatsConnection } from '@nats-io/transport-node';

export const servers = (): string => process.env.NATS_URL ?? 'nats://127.0.0.1:4222';

/** The application's own connection. */
@Injectable()
export class Nats implements OnApplicationShutdown {
  connection!: NatsConnection;

  async open(): Promise<void> {
    this.connection = await connect({ servers: servers(), maxReconnectAttempts: -1 });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connection?.close();
  }
}

export const natsProvider = {
  provide: Nats,
  useFactory: async (): Promise<Nats> => {
    const nats = new Nats();
    await nats.open();
    return nats;
  },
};
