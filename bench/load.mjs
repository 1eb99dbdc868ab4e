import { setImmediate as turn } from 'node:timers/promises';
import amqplib from 'amqplib';
import { bytesOf, propertiesOf } from './clients/message.mjs';

/** The orchestrator's own way to the broker: it makes and fills the queues, and is not measured. */
export class Load {
  constructor(connection, channel) {
    this.connection = connection;
    this.channel = channel;
  }

  static async connect(url) {
    const connection = await amqplib.connect(url, { noDelay: true });
    return new Load(connection, await connection.createConfirmChannel());
  }

  get broker() {
    const { product, version } = this.connection.connection.serverProperties;
    return `${product} ${version}`;
  }

  async purge(queue) {
    await this.channel.purgeQueue(queue);
  }

  /** With `envelope` as Nest's own transport wants its messages. */
  async fill(exchange, route, count, envelope) {
    for (let sent = 0; sent < count; sent += 1_000) {
      for (let at = sent; at < Math.min(count, sent + 1_000); at++) this.publish(exchange, route, at, envelope);
      await this.channel.waitForConfirms();
    }
  }

  /** Publishes `count` messages evenly, whether or not they are taken. */
  async pace(exchange, route, count, perSecond, envelope) {
    const start = performance.now();
    for (let sent = 0; sent < count;) {
      const due = Math.min(count, ((performance.now() - start) / 1_000) * perSecond);
      while (sent < due) this.publish(exchange, route, sent++, envelope);
      await turn();
    }
  }

  /** A few at a time: each is waited for by the broker's store. */
  async deleteQueues(queues) {
    for (let at = 0; at < queues.length; at += 50) {
      await Promise.all(queues.slice(at, at + 50).map((queue) => this.channel.deleteQueue(queue)));
    }
  }

  /** Removes all that the package declared. */
  async remove(exchange, queues) {
    await this.deleteQueues([...queues, `${exchange}.due`]);
    for (const end of ['', '.dlx', '.delay', '.due', '.due.unrouted'])
      await this.channel.deleteExchange(exchange + end);
  }

  async close() {
    await this.connection.close();
  }

  publish(exchange, route, number, envelope) {
    this.channel.publish(exchange, route, bytesOf(number, envelope && route), propertiesOf(route));
  }
}
