import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { bytesOf } from './clients/message.mjs';
import { headersOf, subjectOf } from './clients/nats-message.mjs';

const UNDER_WAY = 500;

/** The orchestrator's own way to a NATS server: it fills and empties the stream, and is not measured. */
export class NatsLoad {
  constructor(connection, manager) {
    this.connection = connection;
    this.manager = manager;
    this.client = jetstream(connection);
  }

  static async connect(servers) {
    const connection = await connect({ servers, noAsyncTraces: true });
    return new NatsLoad(connection, await jetstreamManager(connection));
  }

  get broker() {
    return `NATS ${this.connection.info.version}`;
  }

  async purge({ exchange }) {
    await this.manager.streams.purge(exchange);
  }

  async fill(place, count) {
    const subject = subjectOf(place);
    const publish = (number) =>
      this.client.publish(subject, bytesOf(number), { headers: headersOf(subject, place.route), timeout: 30_000 });
    for (let sent = 0; sent < count; sent += UNDER_WAY) {
      const now = Math.min(UNDER_WAY, count - sent);
      await Promise.all(Array.from({ length: now }, (_, at) => publish(sent + at)));
    }
  }

  /** Removes all that the package made. */
  async remove({ exchange }) {
    for (const stream of [exchange, `${exchange}-delayed`]) await this.manager.streams.delete(stream).catch(() => {});
  }

  async close() {
    await this.connection.close();
  }
}
