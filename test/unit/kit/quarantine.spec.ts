import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { PublishFailedError, PublishRefusedError } from '../../../lib/errors/publish-errors.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../../lib/transport/outgoing.js';
import type { TransportEnvironment, TransportEvent } from '../../../lib/transport/transport.js';
import { Quarantine } from '../../../lib/transports/kit/quarantine.js';
import { type LinkEvents, SupervisedConnection } from '../../../lib/transports/kit/supervised-connection.js';

interface Link {
  readonly number: number;
}

/** A broker that ends each link on which it is sent a message that is bad. */
class ScriptedBroker {
  readonly clock = new ManualClock();
  readonly warnings: string[] = [];
  readonly sent: string[] = [];
  readonly results: string[] = [];
  bad = (id: string): boolean => id.startsWith('bad');
  links = 0;
  closed = 0;
  /** How each link ends over a bad message. */
  byBroker = true;
  /** It does not end, but is given up. */
  givingUp = false;
  refusing = false;
  private readonly environment = {
    clock: this.clock,
    random: () => 0.5,
    reconnect: { initial: 100, max: 1_000, jitter: 0 },
    confirmTimeout: 5_000,
    onEvent: (event: TransportEvent) => void (event.type === 'warning' && this.warnings.push(event.message)),
  } as unknown as TransportEnvironment;
  private on!: LinkEvents<Link>;
  readonly quarantine = new Quarantine<Link, { outgoing: Outgoing }>({
    broker: 'Broker',
    environment: this.environment,
    connect: () => this.connection(),
    send: async (connection, link, { outgoing: { message } }): Promise<PublishResult> => {
      this.sent.push(`${message.id || message.body.toString()} on ${link.number}`);
      if (!this.bad(message.id || message.body.toString())) return CONFIRMED;
      if (this.givingUp) connection.destroy('silent');
      else this.on.ended(link, 'cannot read that', this.byBroker);
      return { status: 'failed', error: new PublishFailedError('lost') };
    },
    refusal: (reason) => new PublishRefusedError(reason),
  });

  take(...ids: string[]): void {
    const sendables = ids.map((id) => ({ outgoing: outgoing(id) }));
    this.quarantine.takeAll(sendables, ({ outgoing: { message } }, result) =>
      this.results.push(`${message.id || message.body.toString()}: ${result.status}`),
    );
  }

  private connection(): SupervisedConnection<Link> {
    return new SupervisedConnection<Link>(
      {
        name: 'Broker',
        open: async (_, on) => {
          if (this.refusing) throw new Error('refused');
          this.on = on;
          return { number: ++this.links };
        },
        end: async () => void this.closed++,
        destroy: (link, reason, on) => on.ended(link, reason),
        describe: (error) => (error as Error).message,
        redact: (text) => text,
      },
      this.environment,
      { opened: () => {}, lost: () => {}, warning: () => {} },
    );
  }
}

/** An id that begins with a space stands for a message without one, of that body. */
function outgoing(id: string): Outgoing {
  const message = { id: id.startsWith(' ') ? '' : id, body: Buffer.from(id.trim()) };
  return { message } as unknown as Outgoing;
}

it('each message goes alone: one that ends the link twice is refused, the others are confirmed, and then the link is closed', async () => {
  const broker = new ScriptedBroker();
  broker.take('one', 'bad', 'two');
  await broker.clock.advance(1_000);
  expect(broker.results).toEqual(['one: confirmed', 'bad: refused', 'two: confirmed']);
  expect(broker.sent).toEqual(['one on 1', 'bad on 1', 'bad on 2', 'two on 3']);
  expect(broker.closed).toBe(1);
  expect(broker.warnings).toEqual([
    'Broker closed the connection over one of 3 messages in flight: they are sent one by one',
    'Broker closes the connection over message bad: it is refused',
  ]);
});

it('a message is suspected until it is acquitted, also when its copy has no id', async () => {
  const broker = new ScriptedBroker();
  const suspects = (id: string): boolean => broker.quarantine.isFor(outgoing(id).message);
  broker.take('one', 'bad', ' bad body', ' body');
  for (const id of ['one', 'bad', ' bad body', ' body']) expect(suspects(id)).toBe(true);
  expect(suspects('other')).toBe(false);
  await broker.clock.advance(60_000);
  expect(broker.results).toEqual(['one: confirmed', 'bad: refused', 'bad body: refused', 'body: confirmed']);
  expect(['one', 'bad', ' bad body', ' body'].filter(suspects)).toEqual(['bad', ' bad body']);
  // Its dead letter has an id.
  expect(broker.quarantine.isFor({ ...outgoing('new').message, body: Buffer.from('bad body') })).toBe(true);
  broker.bad = () => false;
  broker.take('bad', ' bad body');
  await broker.clock.advance(60_000);
  expect(suspects('bad') || suspects(' bad body')).toBe(false);
});

it('where the broker ends the link without a word, it takes more ends until a message is refused for that', async () => {
  const broker = new ScriptedBroker();
  broker.byBroker = false;
  broker.take('bad', 'one');
  await broker.clock.advance(60_000);
  expect(broker.results).toEqual(['bad: refused', 'one: confirmed']);
  expect(broker.sent.filter((sent) => sent.startsWith('bad'))).toHaveLength(5);
});

it('a link that this side gives up, because the broker does not answer, condemns nobody', async () => {
  const broker = new ScriptedBroker();
  broker.givingUp = true;
  for (let times = 0; times < 9; times++) {
    broker.take('bad');
    await broker.clock.advance(60_000);
  }
  expect(broker.results).toEqual(Array(9).fill('bad: failed'));
});

it('without a connection each message has a result, and closing gives one to all', async () => {
  const broker = new ScriptedBroker();
  broker.refusing = true;
  broker.take('one');
  await broker.clock.advance(6_000);
  expect(broker.results).toEqual(['one: failed']);
  broker.take('two', 'three');
  await broker.clock.advance(6_000);
  expect(broker.results.splice(1)).toEqual(['two: failed', 'three: failed']);
  broker.take('two', 'three');
  await broker.clock.advance(10);
  await broker.quarantine.close();
  await broker.clock.advance(0);
  expect(broker.results).toEqual(['one: failed', 'two: failed', 'three: failed']);
});
