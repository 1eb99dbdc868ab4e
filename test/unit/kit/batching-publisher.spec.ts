import { describe, expect, it } from '@jest/globals';
import { PublishFailedError } from '../../../lib/errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../../lib/transport/outgoing.js';
import { type Batch, BatchingPublisher } from '../../../lib/transports/kit/batching-publisher.js';
import type { SupervisedConnection } from '../../../lib/transports/kit/supervised-connection.js';
import { type Link, ScriptedBroker } from './scripted-broker.js';

const HOUR = 3_600_000;

/** Stores when it is told to, and writes down what it was given. */
class ScriptedPublisher extends BatchingPublisher<Link, string> {
  readonly stored: string[] = [];
  readonly doubtful: string[] = [];
  /** Rejects a batch that it is true for, and whether one message is at fault. */
  rejects: (ids: readonly string[], link: Link) => Error | undefined = () => undefined;
  /** Holds the answers until it is called. */
  held?: Promise<void>;

  protected async store(connection: SupervisedConnection<Link>, { link, sendings }: Batch<Link, string>) {
    const ids = sendings.map(({ outgoing, source }) => `${outgoing.message.id}${source ? `<${source}` : ''}`);
    this.stored.push(`${ids.join(' ')} on ${link.number}`);
    if (this.held) await this.within(connection, link, this.held);
    const error = this.rejects(ids, link);
    if (error) throw error;
    return sendings.map(() => CONFIRMED);
  }

  protected override isOverOne(error: unknown): boolean {
    return (error as Error).name === 'RangeError';
  }

  protected failure(_error: unknown, text: string): PublishResult {
    return { status: 'failed', error: new PublishFailedError(text) };
  }

  protected override interrupted({ sendings }: Batch<Link, string>): void {
    this.doubtful.push(...sendings.map(({ outgoing }) => outgoing.message.id));
  }

  protected override goesWith(first: { source?: string }, other: { source?: string }): boolean {
    return (first.source === undefined) === (other.source === undefined);
  }

  protected override resultOf({ message: { id } }: Outgoing): PublishResult | undefined {
    return id === 'known' ? CONFIRMED : undefined;
  }
}

function outgoing(id: string, more: Partial<Outgoing> = {}, body = 'body'): Outgoing {
  const message = { id, route: 'r', body: Buffer.from(body), headers: {}, properties: {} };
  return { message, to: { kind: 'route', route: 'r' }, dedupeId: id, mandatory: false, ...more };
}

class Publishing {
  readonly broker = new ScriptedBroker();
  readonly results: string[] = [];
  readonly publisher = new ScriptedPublisher({
    broker: 'Broker',
    environment: this.broker.environment,
    connection: this.broker.connection,
    maxBytes: 100,
    maxDelayMs: HOUR,
    mostMessages: 3,
    mostBytes: 150,
    quarantine: () => this.broker.dialer,
  });

  constructor() {
    this.broker.lost = () => this.publisher.end();
  }

  async start(): Promise<this> {
    await this.broker.connection.start();
    return this;
  }

  publish(...given: (string | Outgoing)[]): void {
    const batch = given.map((one) => (typeof one === 'string' ? outgoing(one) : one));
    const before = this.results.length;
    this.publisher.publish(batch, ({ message }, result) => {
      const text = result.status === 'confirmed' ? '' : `: ${result.error.message}`;
      this.results.push(`${message.id} ${result.status}${text}`);
    });
    expect(this.results).toHaveLength(before);
  }

  /** A turn of the event loop and what follows from it. */
  async turn(): Promise<void> {
    for (let at = 0; at < 3; at++) await new Promise((resolve) => setImmediate(resolve));
    await this.broker.clock.advance(0);
  }
}

describe('a batching publisher', () => {
  it('sends together what is published in one turn, as much as one batch may hold, in order', async () => {
    const publishing = await new Publishing().start();
    publishing.publish('1', '2');
    publishing.publish('3', '4');
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 2 3 on 1', '4 on 1']);
    expect(publishing.results).toEqual(['1 confirmed', '2 confirmed', '3 confirmed', '4 confirmed']);
  });

  it('ends a batch where its bodies would be too large together, and sends one that is so alone', async () => {
    const publishing = await new Publishing().start();
    publishing.publish(outgoing('1', {}, 'x'.repeat(100)), outgoing('2', {}, 'x'.repeat(60)), '3');
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 on 1', '2 3 on 1']);
  });

  it('sends one batch at a time: what is published meanwhile shares the next one', async () => {
    const publishing = await new Publishing().start();
    let answer!: () => void;
    publishing.publisher.held = new Promise((resolve) => (answer = resolve));
    publishing.publish('1');
    await publishing.turn();
    publishing.publish('2');
    await publishing.turn();
    publishing.publish('3');
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 on 1']);
    answer();
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 on 1', '2 3 on 1']);
  });

  it('moves in batches of their own', async () => {
    const publishing = await new Publishing().start();
    publishing.publish('1');
    const moved = publishing.publisher.move('a', outgoing('2'));
    publishing.publish('3');
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 on 1', '2<a on 1', '3 on 1']);
    await expect(moved).resolves.toEqual(CONFIRMED);
  });

  it.each([
    ['too large', outgoing('1', {}, 'x'.repeat(101)), /101 bytes/],
    ['delayed for too long', outgoing('1', { dueAt: Number.MAX_SAFE_INTEGER }), /longest on Broker/],
    ['sent to a name with a zero', outgoing('1', { to: { kind: 'queue', queue: 'a\0' } }), /holds a zero/],
  ])('refuses a message that is %s, and nothing beside it', async (_, refused, reason) => {
    const publishing = await new Publishing().start();
    publishing.publish(refused, '2');
    await publishing.turn();
    expect(publishing.results).toEqual([expect.stringMatching(reason), '2 confirmed']);
  });

  it('does not send what is known', async () => {
    const publishing = await new Publishing().start();
    publishing.publish('known');
    await publishing.turn();
    expect([publishing.results, publishing.publisher.stored]).toEqual([['known confirmed'], []]);
  });

  it('fails what is published without a link, and says why there is none', async () => {
    const publishing = await new Publishing().start();
    publishing.broker.cut();
    publishing.publish('1');
    await publishing.turn();
    expect(publishing.results).toEqual(['1 failed: Not connected to Broker: the cable was cut']);
  });

  it('fails a batch that is rejected, in words without credentials', async () => {
    const publishing = await new Publishing().start();
    publishing.publisher.rejects = () => new Error('no room for secret');
    publishing.publish('1', '2');
    await publishing.turn();
    const text = 'failed: Broker did not store the message: no room for ***';
    expect(publishing.results).toEqual([`1 ${text}`, `2 ${text}`]);
  });

  it('stores each alone where one of them is at fault, and refuses that one', async () => {
    const publishing = await new Publishing().start();
    publishing.publisher.rejects = (ids) => (ids.includes('2') ? new RangeError('too long') : undefined);
    publishing.publish('1', '2', '3');
    await publishing.turn();
    expect(publishing.publisher.stored).toEqual(['1 2 3 on 1', '1 on 1', '2 on 1', '3 on 1']);
    expect(publishing.results).toEqual([
      '1 confirmed',
      '2 refused: Broker did not store the message: too long',
      '3 confirmed',
    ]);
  });

  it('fails at once what is under way or waits when the connection is lost, and tells of it only once', async () => {
    const publishing = await new Publishing().start();
    let answer!: () => void;
    publishing.publisher.held = new Promise((resolve) => (answer = resolve));
    publishing.publish('1');
    await publishing.turn();
    publishing.publish('2');
    publishing.broker.cut();
    const expected = ['1', '2'].map((id) => `${id} failed: Not connected to Broker: the cable was cut`);
    expect(publishing.results).toEqual(expected);
    answer();
    await publishing.turn();
    expect(publishing.results).toEqual(expected);
    expect(publishing.publisher.doubtful).toEqual(['1']);
  });

  it('destroys a link that does not answer', async () => {
    const publishing = await new Publishing().start();
    publishing.publisher.held = new Promise(() => {});
    publishing.publish('1');
    await publishing.turn();
    await publishing.broker.clock.advance(5_000);
    expect(publishing.broker.destroyed).toEqual(['the server does not answer']);
    expect(publishing.results).toEqual([expect.stringMatching(/^1 failed/)]);
  });

  it('sends alone, on links of their own, what was in flight when the broker ended the link over it', async () => {
    const publishing = await new Publishing().start();
    const { broker, publisher } = publishing;
    publisher.rejects = (ids, link) => {
      if (!ids.includes('bad')) return undefined;
      broker.end(link, 'cannot read that', true);
      return new Error('closed');
    };
    publishing.publish('1', 'bad', '3');
    for (let at = 0; at < 20; at++) {
      await publishing.turn();
      await broker.clock.advance(1_000);
    }
    expect(publishing.results).toEqual([
      '1 confirmed',
      'bad refused: Broker refuses the message: cannot read that',
      '3 confirmed',
    ]);
    expect(publisher.stored.slice(1, 3)).toEqual(['1 on 2', 'bad on 2']);
  });

  it('fails what is under way when it is closed', async () => {
    const publishing = await new Publishing().start();
    publishing.publisher.held = new Promise(() => {});
    publishing.publish('1');
    await publishing.turn();
    await publishing.publisher.close();
    expect(publishing.results).toEqual([expect.stringMatching(/^1 failed/)]);
  });
});
