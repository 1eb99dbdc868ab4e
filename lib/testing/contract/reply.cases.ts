import assert from 'node:assert/strict';
import type { CancelTimer, Clock, TimerOptions } from '../../clock/clock.js';
import type { WireMessage } from '../../message/message.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { ReplyPath } from '../../transport/reply-path.js';
import type { CaseDefinition } from './case.js';
import type { Client } from './client.js';
import { range } from './samples.js';
import type { TestBed } from './test-bed.js';

/** What one process hears at its address. */
class Inbox {
  readonly addresses: string[] = [];
  readonly replies: WireMessage[] = [];
  lost = 0;

  private constructor(
    private readonly bed: TestBed,
    private readonly client: Client,
  ) {}

  static async open(bed: TestBed, client: Client): Promise<Inbox> {
    const inbox = new Inbox(bed, client);
    const fire = (): void => bed.signal.fire();
    const opening = pathOf(client).open({
      opened: (address) => {
        inbox.addresses.push(address);
        fire();
      },
      lost: () => {
        inbox.lost++;
        fire();
      },
      reply: (message) => {
        inbox.replies.push(message);
        fire();
      },
    });
    await bed.settled(opening, 'open() of replies');
    return inbox;
  }

  get address(): string {
    const address = this.addresses.at(-1);
    assert.ok(address !== undefined, 'replies can be received');
    return address;
  }

  /** Waits until it was opened so often. */
  async opened(times: number): Promise<void> {
    await this.bed.eventually(() => this.addresses.length >= times, `replies to be received, opened ${times} times`);
  }

  async until(count: number): Promise<WireMessage[]> {
    await this.bed.eventually(
      () => this.replies.length >= count,
      () => `${count} replies (there are ${this.replies.length}; ${this.client.told()})`,
    );
    return this.replies;
  }
}

/** Knows the timers that are set. */
class CountingClock implements Clock {
  readonly timers = new Set<object>();

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(delayMs: number, callback: () => void, options?: TimerOptions): CancelTimer {
    const timer = {};
    this.timers.add(timer);
    const fired = (): void => {
      this.timers.delete(timer);
      callback();
    };
    const cancel = this.clock.after(delayMs, fired, options);
    return () => {
      this.timers.delete(timer);
      cancel();
    };
  }
}

function pathOf({ transport }: Client): ReplyPath {
  assert.ok(transport.replies, 'the transport has replies: its harness has to say so («replies»)');
  return transport.replies;
}

function reply(bed: TestBed, client: Client, address: string, message: WireMessage): Promise<PublishResult> {
  return bed.settled(pathOf(client).reply(address, message), 'reply()');
}

/** The way back, past all queues. */
export const replyCases: readonly CaseDefinition[] = [
  {
    name: 'a reply reaches whoever opened its address, with all it carries, and nobody else',
    needs: ['replies'],
    async run(bed) {
      const [asking, other, answering] = [await bed.connect(), await bed.connect(), await bed.connect()];
      const [inbox, others] = [await Inbox.open(bed, asking), await Inbox.open(bed, other)];
      assert.equal(inbox.lost, 0);
      assert.notEqual(inbox.address, others.address);
      const message = answering.message({
        headers: { 'x-text': 'ä', 'x-number': 5 },
        properties: { contentType: 'application/json', correlationId: 'c-1' },
      });
      assert.equal((await reply(bed, answering, inbox.address, message)).status, 'confirmed');
      const [got] = await inbox.until(1);
      assert.deepEqual(got.body, message.body);
      assert.deepEqual({ ...got.headers }, message.headers);
      assert.equal(got.properties.correlationId, 'c-1');
      assert.equal(got.properties.contentType, 'application/json');
      // An empty body is a reply, too.
      await reply(bed, answering, inbox.address, { ...message, body: Buffer.alloc(0), properties: {} });
      assert.equal((await inbox.until(2))[1].body.length, 0);
      assert.equal(others.replies.length, 0);
    },
  },
  {
    name: 'a request that carries an address arrives with it, and many are answered, each once',
    needs: ['replies'],
    async run(bed) {
      const [asking, answering] = [await bed.connect(), await bed.connect()];
      const inbox = await Inbox.open(bed, asking);
      const topology = bed.topology('q', [bed.route('a')]);
      await answering.consume(topology, {
        prefetch: 50,
        settle: (received) => {
          const { properties } = received.message;
          const message = answering.message({ properties });
          void pathOf(answering)
            .reply(properties.replyTo ?? '', message)
            .then(() => received.ack());
        },
      });
      const ids = range(200).map((n) => `${n}`);
      await asking.confirmed(
        ...ids.map((correlationId) =>
          asking.toRoute(bed.route('a'), { properties: { correlationId, replyTo: inbox.address } }),
        ),
      );
      const replies = await inbox.until(ids.length);
      assert.deepEqual(new Set(replies.map(({ properties }) => properties.correlationId)), new Set(ids));
      assert.equal(replies.length, ids.length);
    },
  },
  {
    name: 'an address that is none is refused or unroutable, and disturbs nobody',
    needs: ['replies'],
    async run(bed) {
      const [asking, answering] = [await bed.connect(), await bed.connect()];
      const inbox = await Inbox.open(bed, asking);
      for (const address of ['', ' ', 'nobody here', 'no-such-address', '>', 'a'.repeat(300)]) {
        const result = await reply(bed, answering, address, answering.message());
        assert.ok(['refused', 'unroutable'].includes(result.status), `«${address}»: ${result.status}`);
      }
      assert.equal((await reply(bed, answering, inbox.address, answering.message())).status, 'confirmed');
      await inbox.until(1);
      assert.equal(asking.count('disconnected') + answering.count('disconnected'), 0);
    },
  },
  {
    name: 'replies are lost with their connection, which is told once, and come again at the address that is told then',
    needs: ['replies', 'disconnect'],
    async run(bed) {
      const [asking, answering] = [await bed.connect(), await bed.connect()];
      const inbox = await Inbox.open(bed, asking);
      await bed.cut(asking, answering);
      await inbox.opened(2);
      assert.equal(inbox.lost, 1);
      await answering.connected();
      await bed.eventually(
        async () => (await reply(bed, answering, inbox.address, answering.message())).status === 'confirmed',
        'a reply that is sent',
      );
      await inbox.until(1);
    },
  },
  {
    name: 'opened while disconnected, replies come once there is a connection; a reply fails until then',
    needs: ['replies', 'refuse'],
    async run(bed) {
      await bed.toggle('refuse', true);
      const asking = await bed.connect({ connected: false });
      const inbox = await Inbox.open(bed, asking);
      assert.equal(inbox.addresses.length, 0);
      assert.equal((await reply(bed, asking, 'reply:x', asking.message())).status, 'failed');
      await bed.toggle('refuse', false);
      await inbox.opened(1);
      await asking.connected();
      await reply(bed, asking, inbox.address, asking.message());
      await inbox.until(1);
      assert.equal(inbox.lost, 0);
    },
  },
  {
    name: 'closed, it does not try to receive replies again: no timer is left',
    needs: ['replies'],
    async run(bed) {
      const clock = new CountingClock(bed.environment.clock);
      const asking = await bed.connect({ environment: { clock } });
      const inbox = await Inbox.open(bed, asking);
      assert.equal(inbox.addresses.length, 1);
      await bed.settled(asking.transport.close(), 'close()');
      assert.equal(clock.timers.size, 0);
    },
  },
];
