import { setTimeout as pause } from 'node:timers/promises';
import { bytesOf, propertiesOf } from './clients/message.mjs';

/*
 * A broker as the rounds need it: `empty` before publishing, `fill` before consuming. `most` is the largest number of
 * messages that one round consumes.
 */

/** A real one, whose queue is filled before each round. */
export class RabbitStage {
  most = 20_000;

  /** The broker writes on after a queue was filled or purged: whoever came next at once would pay for that. */
  constructor(load, url, settleMs) {
    this.load = load;
    this.url = url;
    this.settleMs = settleMs;
  }

  async empty({ queue }) {
    await this.load.purge(queue);
    await pause(this.settleMs);
  }

  async fill({ queue, exchange, route }, count, envelope) {
    await this.load.purge(queue);
    await this.load.fill(exchange, route, count, envelope);
    await pause(this.settleMs);
  }

  /** Publishes evenly, after long enough for whatever a client still has to do after its start. */
  async pace({ exchange, route }, count, perSecond, envelope) {
    await pause(this.settleMs * 4);
    await this.load.pace(exchange, route, count, perSecond, envelope);
  }
}

/** A NATS server, whose stream is filled before each round. */
export class NatsStage {
  most = 20_000;

  constructor(load, url, settleMs) {
    this.load = load;
    this.url = url;
    this.settleMs = settleMs;
  }

  async empty(place) {
    await this.load.purge(place);
    await pause(this.settleMs);
  }

  async fill(place, count) {
    await this.load.purge(place);
    await this.load.fill(place, count);
    await pause(this.settleMs);
  }
}

/** A node of Kafka. Nothing is taken out of a log: the groups are moved on. */
export class KafkaStage {
  most = 60_000;

  constructor(load, url, settleMs) {
    this.load = load;
    this.url = url;
    this.settleMs = settleMs;
  }

  async empty(place) {
    await this.load.cutOff(place);
    await pause(this.settleMs);
  }

  async fill(place, count) {
    await this.load.passOver(place);
    await this.load.fill(place, count);
    await pause(this.settleMs);
  }
}

/** The instant broker has nothing to empty, and never runs out. */
export class InstantStage {
  most = 200_000;

  constructor(broker) {
    this.broker = broker;
    this.url = broker.url;
  }

  async empty() {}

  async fill({ queue, exchange, route }, count, envelope) {
    const body = bytesOf(0, envelope && route).toString();
    await this.broker.offer(queue, { exchange, routingKey: route, properties: propertiesOf(route), body });
  }
}
