import type { ConfirmChannel, GetMessage } from 'amqplib';
import { sleep } from '../../../clock/sleep.js';
import { withConfirmChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { queueDepth } from './browser.js';
import type { RabbitmqConnection } from '../connection/connection.js';

export interface Binding {
  readonly queue: string;
  readonly exchange: string;
  readonly key: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** A binding that the service has made for a subscription; `unbound`: and taken back since. */
export interface RecordedBinding extends Binding {
  readonly unbound?: true;
}

/** By the queue of the subscription. The one that was written last is the last. */
export type BindingRecord = ReadonlyMap<string, readonly RecordedBinding[]>;

interface HeldRecord {
  readonly message: GetMessage;
  readonly bindings: Written;
}

type Written = Readonly<Record<string, readonly RecordedBinding[]>>;

type Change = (bindings: BindingRecord) => Promise<BindingRecord | undefined>;

interface Asked {
  readonly create: boolean;
  readonly change: Change;
}

/** Where the processes of a service keep their record. */
export function recordQueue(service: string): string {
  return `${service}:declared`;
}

const FORMAT = 'nestjs-messaging/declared/1';
/** Of queues, the oldest go first. */
const MOST_QUEUES = 2_000;
/** Of messages, for what two write at the same time is there twice. */
const MOST_MESSAGES = 200;
/** Another process may have the record at the moment: it is read again so often, so many milliseconds later. */
const TRIES = 5;
const RETRY_AFTER_MS = 50;

/**
 * What the processes of a service have bound, as one message in a queue of its own, for AMQP cannot ask for bindings. Who
 * changes the record takes the message, and acks it after the next one is confirmed; what two wrote at the same time is
 * put together by the next.
 */
export class DeclaredRecord {
  private turn: Promise<unknown> = Promise.resolve();
  private taking: Promise<void> = Promise.resolve();
  private next: Asked[] | undefined;

  constructor(
    readonly queue: string,
    private readonly queueArguments: Readonly<Record<string, unknown>>,
    private readonly connection: Pick<RabbitmqConnection, 'current'>,
    private readonly bound: AnswerTimeout,
  ) {}

  /**
   * Calls `change` with what is on record, and writes what it returns; undefined writes nothing. `create`: where there is
   * no record it begins with nothing, otherwise `change` is not called. What is asked for at the same time shares one
   * reading and one message.
   */
  change(create: boolean, change: Change): Promise<void> {
    if (!this.next) {
      const asked: Asked[] = (this.next = []);
      const turn = this.turn.then(() => {
        this.next = undefined;
        return this.take(asked);
      });
      this.taking = turn;
      this.turn = turn.catch(() => {});
    }
    this.next.push({ create, change });
    return this.taking;
  }

  private async take(asked: readonly Asked[]): Promise<void> {
    const model = this.connection.current;
    if (!model) throw new Error('not connected');
    const exists = (await queueDepth(model, this.bound, this.queue)) !== undefined;
    if (!exists && !asked.some(({ create }) => create)) return;
    await withConfirmChannel(model, this.bound, async (channel) => {
      if (!exists) await channel.assertQueue(this.queue, { durable: true, arguments: this.queueArguments });
      const held = exists ? await this.hold(channel) : [];
      const found: BindingRecord = merge(held.map(({ bindings }) => bindings));
      let now = found;
      for (const { change } of asked) now = (await change(now)) ?? now;
      // What is not acked goes back with the channel.
      if (now === found) return;
      channel.sendToQueue(this.queue, encode(now), { persistent: true, contentType: 'application/json' });
      await channel.waitForConfirms();
      for (const { message } of held) channel.ack(message);
    });
  }

  private async hold(channel: ConfirmChannel): Promise<HeldRecord[]> {
    const held: HeldRecord[] = [];
    for (let tries = 0; held.length === 0 && tries < TRIES; tries++) {
      if (tries > 0) await sleep(this.bound.clock, RETRY_AFTER_MS);
      let message = await channel.get(this.queue);
      for (let count = 1; message && count <= MOST_MESSAGES; count++) {
        const bindings = decode(message);
        if (bindings) held.push({ message, bindings });
        message = await channel.get(this.queue);
      }
      if (message && held.length === 0) throw new Error(`«${this.queue}» is full of messages that are no record`);
    }
    return held;
  }
}

function encode(bindings: BindingRecord): Buffer {
  const queues = [...bindings].slice(-MOST_QUEUES);
  return Buffer.from(JSON.stringify({ format: FORMAT, queues: Object.fromEntries(queues) }));
}

/** What is unbound in one of them and not in another is not known to be unbound. */
function merge(records: readonly Written[]): Map<string, readonly RecordedBinding[]> {
  const merged = new Map<string, readonly RecordedBinding[]>();
  for (const record of records) {
    for (const [queue, bindings] of Object.entries(record)) {
      const others = (merged.get(queue) ?? []).filter((one) => !one.unbound || !bindings.some((two) => same(one, two)));
      merged.set(queue, [...others, ...bindings.filter((one) => !others.some((two) => same(one, two)))]);
    }
  }
  return merged;
}

/** Undefined for a message of somebody else, which is left where it is. */
function decode({ content }: GetMessage): Written | undefined {
  try {
    const { format, queues } = JSON.parse(content.toString()) as { format?: string; queues?: Written };
    const isRecord = format === FORMAT && Object.values(queues ?? []).every(Array.isArray);
    return isRecord ? queues : undefined;
  } catch {
    return undefined;
  }
}

export function same(one: Binding, other: Binding): boolean {
  return (
    one.queue === other.queue &&
    one.exchange === other.exchange &&
    one.key === other.key &&
    argumentsText(one.arguments) === argumentsText(other.arguments)
  );
}

/** Whatever their order. */
export function argumentsText(given: Binding['arguments'] = {}): string {
  return JSON.stringify(Object.entries(given).sort(([one], [other]) => (one < other ? -1 : 1)));
}
