import { Injectable, type OnModuleInit } from '@nestjs/common';
import { headers } from '@nats-io/transport-node';
import { Nats } from './nats.js';

interface Reminder {
  readonly id: string;
  readonly item: string;
  readonly attempt: number;
}

/** The subscriber: its reply is the acknowledgement. What it refuses with an error header comes again. */
@Injectable()
export class Reminders implements OnModuleInit {
  readonly all: Reminder[] = [];

  constructor(private readonly nats: Nats) {}

  onModuleInit(): void {
    this.nats.connection.subscribe('orders.remind', {
      queue: 'reminders',
      callback: (error, message) => {
        if (error) return;
        const { item } = message.json<{ item: string }>();
        const id = message.headers?.get('Requeue-Id') ?? '';
        this.all.push({ id, item, attempt: Number(message.headers?.get('Requeue-Attempt')) });
        if (item !== 'broken') return void message.respond();
        const failure = headers();
        failure.set('Nats-Service-Error-Code', '422');
        failure.set('Nats-Service-Error', '«broken» cannot be packed');
        message.respond('', { headers: failure });
      },
    });
  }
}
