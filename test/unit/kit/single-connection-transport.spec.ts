import { describe, expect, it } from '@jest/globals';
import { TopologyMismatchError } from '../../../lib/errors/configuration-errors.js';
import { CONFIRMED, type Outgoing } from '../../../lib/transport/outgoing.js';
import type { Topology } from '../../../lib/transport/topology.js';
import type { PublishDone, TransportEnvironment, TransportEvent } from '../../../lib/transport/transport.js';
import {
  type Attachment,
  type LinkParts,
  type OwnParts,
  SingleConnectionTransport,
} from '../../../lib/transports/kit/single-connection-transport.js';
import { type Link, ScriptedBroker, ScriptedSession } from './scripted-broker.js';

const topology = { queue: 'q', patterns: ['a'] } as unknown as Topology;
const handlers = { delivery() {}, lost() {}, state() {} };

/** Writes down what its parts are asked. */
class ScriptedTransport extends SingleConnectionTransport<OwnParts<Link, number>, Link, ScriptedSession, number> {
  readonly system = 'scripted';
  readonly host = 'here';
  readonly capabilities = {} as never;
  readonly broker = new ScriptedBroker();
  readonly told: string[] = [];
  readonly events: string[] = [];
  readonly sessions: ScriptedSession[] = [];
  /** Rejects what makes and compares queues. */
  refusal?: Error;
  readonly environment: TransportEnvironment = {
    ...this.broker.environment,
    onEvent: (event: TransportEvent) =>
      void this.events.push(event.type + ('message' in event ? ` ${event.message}` : '')),
  };

  constructor() {
    super('Broker');
  }

  native(): undefined {}

  override unbind = (one: Topology): Promise<void> => super.unbind(one);
  override compare = (all: readonly Topology[]): Promise<void> => super.compare(all);

  protected dialer() {
    return this.broker.dialer;
  }

  protected build(_: LinkParts<Link, ScriptedSession, number>): OwnParts<Link, number> {
    const ask = async (what: string): Promise<void> => {
      this.told.push(what);
      if (this.refusal) throw this.refusal;
    };
    return {
      publisher: {
        publish: (batch: readonly Outgoing[], done: PublishDone) => batch.forEach((one) => done(one, CONFIRMED)),
        open: ({ number }: Link) => void this.told.push(`open ${number}`),
        end: (reason: string) => void this.told.push(`end: ${reason}`),
        forgetRoutes: () => void this.told.push('forget routes'),
        close: async () => void this.told.push('close publisher'),
      },
      queues: {
        declare: async (_: Link, { queue, patterns }: Topology) => {
          await ask(`declare ${queue} by ${patterns.join()}`);
          return 7;
        },
        unbind: (_: Link, { queue }: Topology) => ask(`unbind ${queue}`),
        compare: () => ask('compare'),
        remove: (_: Link, queue: string) => ask(`remove ${queue}`),
        unattended: async (_: Link, declared: ReadonlySet<string>) => {
          await ask(`unattended beside ${[...declared].join()}`);
          return [{ queue: 'old', messages: 3, bindings: ['a'], remedy: 'Delete it' }];
        },
      },
      upkeep: { start: () => void this.told.push('start upkeep'), stop: () => void this.told.push('stop upkeep') },
    };
  }

  protected attach({ link, made, queue, prefetch }: Attachment<Link, number>): ScriptedSession {
    this.told.push(`attach to ${queue} (${made}) on ${link.number}, ${prefetch} at a time`);
    const session = new ScriptedSession();
    this.sessions.push(session);
    return session;
  }

  protected async ping(): Promise<void> {}
}

async function connected(): Promise<ScriptedTransport> {
  const transport = new ScriptedTransport();
  await transport.connect(transport.environment);
  return transport;
}

describe('a transport over one connection', () => {
  it('tells when publishing is possible, and when not', async () => {
    const transport = await connected();
    transport.broker.cut();
    transport.broker.mend();
    await transport.broker.clock.advance(1_000);
    expect(transport.events).toEqual(['connected', 'disconnected', 'connected']);
    expect(transport.told).toEqual(['start upkeep', 'open 1', 'end: the cable was cut', 'open 2']);
  });

  it('tells once why it cannot connect', async () => {
    const transport = await connected();
    transport.broker.cut();
    await transport.broker.clock.advance(60_000);
    expect(transport.events).toEqual(['connected', 'disconnected', 'warning Cannot connect to Broker: refused']);
  });

  it('consumes a queue that it has made, and goes on with the next link where the last session ended', async () => {
    const transport = await connected();
    await transport.subscribe({ topology, prefetch: 0 }, handlers);
    transport.broker.cut();
    transport.broker.mend();
    await transport.broker.clock.advance(1_000);
    const attached = ['declare q by a', 'attach to q (7) on'];
    expect(transport.told.slice(2, 4)).toEqual([attached[0], `${attached[1]} 1, 1 at a time`]);
    expect(transport.told.slice(-2)).toEqual([attached[0], `${attached[1]} 2, 1 at a time`]);
    expect(transport.sessions.map(({ told }) => told)).toEqual([
      ['consume', 'give up'],
      ['recover from 2', 'consume'],
    ]);
  });

  it('binds a queue that was unbound no more', async () => {
    const transport = await connected();
    await transport.declare(topology);
    await transport.unbind(topology);
    await transport.subscribe({ topology, prefetch: 5 }, handlers);
    expect(transport.told.slice(2)).toEqual([
      'declare q by a',
      'forget routes',
      'unbind q',
      'forget routes',
      'declare q by ',
      'attach to q (7) on 1, 5 at a time',
    ]);
  });

  it('makes an error of the client that is met while a queue is made one of ours, without credentials', async () => {
    const transport = await connected();
    transport.refusal = new Error('no secret');
    await transport.declare(topology);
    expect(transport.events).toEqual(['connected', 'warning Broker did not do it: no ***']);
  });

  it('refuses a queue that exists with other arguments; what else keeps it from looking the declaration tells', async () => {
    const transport = await connected();
    transport.refusal = new TopologyMismatchError('another type');
    await expect(transport.compare([topology])).rejects.toBe(transport.refusal);
    transport.refusal = new Error('no answer');
    await transport.compare([topology]);
    transport.broker.cut();
    await transport.compare([topology]);
    expect(transport.told.filter((what) => what === 'compare')).toHaveLength(2);
  });

  it('tells of queues of removed subscriptions, after a minute', async () => {
    const transport = await connected();
    await transport.declare(topology);
    await transport.broker.clock.advance(120_000);
    expect(transport.told.slice(-1)).toEqual(['unattended beside q']);
    expect(transport.events).toEqual([
      'connected',
      expect.stringMatching(/«old» holds 3 messages, and nobody consumes it/),
    ]);
  });

  it('closes its consumers first, then what looks after the rest, then publisher and connection', async () => {
    const transport = await connected();
    await transport.subscribe({ topology, prefetch: 1 }, handlers);
    const before = transport.told.length;
    await transport.close();
    await transport.broker.clock.advance(600_000);
    expect(transport.told.slice(before)).toEqual(['stop upkeep', 'close publisher']);
    expect(transport.sessions[0].told).toEqual(['consume', 'stop', 'finish', 'close']);
    expect(transport.events).toEqual(['connected']);
  });
});
