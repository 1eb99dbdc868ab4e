import { describe, expect, it } from '@jest/globals';
import { TopologyMismatchError } from '../../../lib/errors/configuration-errors.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import type { Topology } from '../../../lib/transport/topology.js';
import { type ConsumerPlan, Subscriptions } from '../../../lib/transports/kit/subscriptions.js';
import { type Link, ScriptedBroker, ScriptedSession } from './scripted-broker.js';

const topology = { queue: 'q' } as Topology;

class Subscribing {
  readonly broker = new ScriptedBroker();
  readonly made: string[] = [];
  readonly removed: string[] = [];
  failure?: Error;
  readonly subscriptions = new Subscriptions<Link, ScriptedSession>({
    connection: this.broker.connection,
    environment: this.broker.environment,
    closeWithinMs: 3_000,
    make: async ({ number }, { queue }) => {
      this.made.push(`${queue} on ${number} at ${this.broker.clock.monotonic()}`);
      if (this.failure) throw this.failure;
    },
    remove: async ({ number }, queue) => void this.removed.push(`${queue} on ${number}`),
  });

  constructor() {
    this.broker.opened = (link) => void this.subscriptions.redeclare(link);
  }

  plan(session = new ScriptedSession()): ConsumerPlan<Link, ScriptedSession> {
    const handlers = { delivery: () => {}, lost: () => {}, state: () => {} };
    return { queue: 'q', handlers, open: async () => session, ended: () => {} };
  }

  async reconnect(): Promise<void> {
    this.broker.cut();
    this.broker.mend();
    await this.broker.clock.advance(400);
  }
}

describe('a topology', () => {
  it('is made again on each new link', async () => {
    const subscribing = new Subscribing();
    await subscribing.subscriptions.declare(topology);
    expect(subscribing.made).toEqual([]);
    await subscribing.broker.connection.start();
    await subscribing.reconnect();
    expect(subscribing.made).toEqual(['q on 1 at 0', expect.stringMatching(/^q on 2/)]);
  });

  it('that can never be is refused and not remembered', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    subscribing.failure = new TopologyMismatchError('another type');
    await expect(subscribing.subscriptions.declare(topology)).rejects.toBe(subscribing.failure);
    await subscribing.reconnect();
    await subscribing.broker.clock.advance(60_000);
    expect(subscribing.made).toHaveLength(1);
    expect(subscribing.broker.warnings).toEqual([]);
  });

  it('that cannot be made now is told once and tried again after growing pauses', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    subscribing.failure = new NotConnectedError('no answer');
    await subscribing.subscriptions.declare(topology);
    await subscribing.broker.clock.advance(700);
    expect(subscribing.made).toEqual(['q on 1 at 0', 'q on 1 at 100', 'q on 1 at 300', 'q on 1 at 700']);
    subscribing.failure = undefined;
    await subscribing.broker.clock.advance(60_000);
    expect(subscribing.made).toHaveLength(5);
    expect(subscribing.broker.warnings).toEqual(['no answer']);
  });

  it('that cannot be made on a new link keeps the others from nothing, and is tried again on that link', async () => {
    const subscribing = new Subscribing();
    subscribing.failure = new TopologyMismatchError('another type');
    await subscribing.subscriptions.declare(topology);
    await subscribing.subscriptions.declare({ ...topology, queue: 'other' });
    await subscribing.broker.connection.start();
    await subscribing.broker.clock.advance(0);
    expect(subscribing.made).toEqual(['q on 1 at 0', 'other on 1 at 0']);
    expect(subscribing.broker.warnings).toEqual(['another type', 'another type']);
    subscribing.failure = undefined;
    await subscribing.broker.clock.advance(60_000);
    expect(subscribing.made.slice(2)).toEqual(['q on 1 at 100', 'other on 1 at 100']);
  });
});

describe('closing', () => {
  it('closes every consumer, within a bound', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    const hung = new ScriptedSession();
    hung.stop = () => new Promise(() => {});
    const quick = new ScriptedSession();
    await subscribing.subscriptions.subscribe(subscribing.plan(hung));
    await subscribing.subscriptions.subscribe(subscribing.plan(quick));
    let closed = false;
    void subscribing.subscriptions.close().then(() => (closed = true));
    await subscribing.broker.clock.advance(2_999);
    expect([closed, quick.told.at(-1)]).toEqual([false, 'close']);
    await subscribing.broker.clock.advance(1);
    expect(closed).toBe(true);
  });

  it('removes the queues of this process alone, once every consumer is closed', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    await subscribing.subscriptions.declare(topology);
    await subscribing.subscriptions.declare({ ...topology, queue: 'own', exclusive: { expiresMs: 1_000 } });
    const session = new ScriptedSession();
    session.close = async () => void subscribing.removed.push('closed');
    await subscribing.subscriptions.subscribe(subscribing.plan(session));
    await subscribing.subscriptions.close();
    expect(subscribing.removed).toEqual(['closed', 'own on 1']);
  });

  it('ends where they cannot be removed, and without a link', async () => {
    const subscribing = new Subscribing();
    await subscribing.subscriptions.declare({ ...topology, exclusive: { expiresMs: 1_000 } });
    await subscribing.subscriptions.close();
    expect(subscribing.removed).toEqual([]);
  });

  it('warns of nothing that it interrupts, and makes nothing any more', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    subscribing.failure = new NotConnectedError('no answer');
    await subscribing.subscriptions.declare(topology);
    await subscribing.subscriptions.close();
    subscribing.subscriptions.warn('too late');
    await subscribing.broker.clock.advance(60_000);
    expect(subscribing.broker.warnings).toEqual(['no answer']);
    expect(subscribing.made).toHaveLength(1);
  });

  it('a consumer of the transport itself starts once, and not after the close', async () => {
    const subscribing = new Subscribing();
    await subscribing.broker.connection.start();
    let plans = 0;
    const plan = (): ConsumerPlan<Link, ScriptedSession> => {
      plans++;
      return subscribing.plan();
    };
    subscribing.subscriptions.startOnce(plan);
    subscribing.subscriptions.startOnce(plan);
    expect(plans).toBe(1);
    const other = new Subscribing();
    await other.subscriptions.close();
    other.subscriptions.startOnce(plan);
    expect(plans).toBe(1);
  });
});

it('a consumer that may not consume is none', async () => {
  const subscribing = new Subscribing();
  await subscribing.broker.connection.start();
  const session = new ScriptedSession();
  session.refusal = new TopologyMismatchError('forbidden');
  await expect(subscribing.subscriptions.subscribe(subscribing.plan(session))).rejects.toBe(session.refusal);
  await subscribing.subscriptions.close();
  expect(session.told).toEqual(['consume', 'close']);
});
