import { randomUUID } from 'node:crypto';
import { instanceName } from '../../consumer/subscription/exclusive-queue.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { errorMessage } from '../../errors/redact.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Destination, PublishResult } from '../../transport/outgoing.js';
import { publishAll } from '../../transport/publish-all.js';
import type { Topology } from '../../transport/topology.js';
import type { Transport } from '../../transport/transport.js';
import { tellOperation } from '../activity.js';
import type { ObservedMessaging } from '../observed-messaging.js';
import { checkFleet, type FleetOptions } from './fleet-options.js';
import { type ProcessReport, reportOf } from './process-report.js';
import { type Opened, Seal, type SealRefusal } from './seal.js';

/** What a process can be told to do, and what `ask` and `command` are answered with. */
export type FleetAction = 'pause' | 'resume';

const ROUTE = 'fleet';
/** So long has nobody consumed the queue of a process that is dead. */
const EXPIRES_MS = 15_000;
const PREFETCH = 100;

const WHY: Readonly<Record<SealRefusal, string>> = {
  unsigned: 'it is not signed with the secret of this process',
  expired: 'it is older than 30 s, or the clocks of the two hosts differ by so much',
  replayed: 'it came before',
  'too many': 'more came within a minute than are remembered',
};

const members = new WeakMap<ObservedMessaging, { readonly member: FleetMember; readonly secret: string }>();

/**
 * Lets the dashboards of other processes see and pause this one: for processes without a dashboard. It ends with the
 * connection; where the broker is away it joins later.
 * @throws InvalidOptionError for a secret that is too short, and on a broker that keeps the queues of killed processes
 */
export function joinFleet(messaging: ObservedMessaging, options: FleetOptions): void {
  memberOf(messaging, checkFleet('fleet', options));
}

/** One for a connection, whoever joins. @throws InvalidOptionError */
export function memberOf(messaging: ObservedMessaging, options: FleetOptions): FleetMember {
  const joined = members.get(messaging);
  if (joined && joined.secret !== options.secret)
    throw new InvalidOptionError('fleet.secret', 'another one', 'the secret that this connection has joined with');
  if (joined) return joined.member;
  const member = new FleetMember(messaging, options);
  members.set(messaging, { member, secret: options.secret });
  return member;
}

/** This process in its fleet: it answers who asks how it is, and does what it is told, where that is signed. */
export class FleetMember {
  readonly id = instanceName();
  readonly queue: string;
  /** Why it hears nothing; undefined: it does. */
  problem: string | undefined;
  /** Messages that were not listened to since the start. */
  readonly refused: Partial<Record<SealRefusal, number>> = {};
  private readonly listeners = new Set<(content: Opened) => void>();
  private readonly transport: Transport;
  private readonly topology: Topology & { readonly topic: string };
  private readonly seal: Seal;

  constructor(
    private readonly messaging: ObservedMessaging,
    private readonly options: FleetOptions,
  ) {
    const { environment, described } = messaging;
    this.queue = `${environment.service}:${ROUTE}:${this.id}:queue`;
    this.transport = checkTransport(messaging);
    this.topology = {
      queue: this.queue,
      // Where no pattern of a subscription reaches.
      topic: `${described!.topic ?? 'messaging'}.${ROUTE}`,
      patterns: [ROUTE],
      provision: true,
      exclusive: { expiresMs: EXPIRES_MS },
    };
    this.seal = new Seal(options.secret, environment.clock);
    this.joinWhenConnected(messaging.health().connection.state === 'connected');
  }

  get report(): ProcessReport {
    const { id, queue, options } = this;
    return reportOf(this.messaging, { id, queue, ...(options.version !== undefined && { version: options.version }) });
  }

  /** What comes from other processes, and from this one. @returns what ends it */
  listen(listener: (content: Opened) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** To the queue of one process or, without one, to all. It never rejects. */
  async send(content: { readonly kind: string }, queue?: string): Promise<PublishResult> {
    const id = randomUUID();
    const { topic } = this.topology;
    const to: Destination = queue === undefined ? { kind: 'route', topic, route: ROUTE } : { kind: 'queue', queue };
    const properties = { contentType: 'text/plain' };
    const message = { id, route: ROUTE, body: this.seal.close(content), headers: {}, properties };
    const [result] = await publishAll(this.transport, [{ to, message, dedupeId: id, mandatory: queue !== undefined }]);
    return result;
  }

  private joinWhenConnected(connected: boolean): void {
    if (connected) void this.join();
    else this.messaging.events.once('connected', () => void this.join());
  }

  private async join(): Promise<void> {
    const { transport, topology } = this;
    try {
      await transport.declare(topology);
      const delivery = (one: Delivery): void => this.received(one);
      const handlers = { delivery, lost: () => undefined, state: () => undefined };
      await transport.subscribe({ topology, prefetch: PREFETCH }, handlers);
      this.problem = undefined;
    } catch (error) {
      this.problem = `This process cannot join the fleet: ${errorMessage(error)}`;
      this.messaging.environment.log.warn(`${this.problem}. It is tried again with the next connection`);
      this.joinWhenConnected(false);
    }
  }

  private received(delivery: Delivery): void {
    delivery.ack();
    const content = this.seal.open(delivery.message.body);
    if (typeof content === 'string') return this.refuse(content);
    if (content.kind === 'ask') this.answer(content);
    else if (content.kind === 'command' && content.to === this.id) this.obey(content);
    else for (const listener of this.listeners) listener(content);
  }

  /** One line for each reason: whoever sends such messages may send many. */
  private refuse(reason: SealRefusal): void {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1;
    if (this.refused[reason] > 1) return;
    this.messaging.environment.log.warn(`A message of the fleet is not listened to: ${WHY[reason]}`);
  }

  private answer({ ask, asker, answerTo }: Opened): void {
    void this.send({ kind: 'state', ...{ ask, asker, report: this.report } }, String(answerTo));
  }

  private obey({ command, action, name, operator, from, answerTo }: Opened): void {
    const error = this.done(action, String(name), `${String(operator)} from ${String(from)}`);
    const content = { command, report: this.report, ...(error !== undefined && { error }) };
    void this.send({ kind: 'done', ...content }, String(answerTo));
  }

  /** @returns why it is not done */
  private done(action: unknown, name: string, operator: string): string | undefined {
    if (action !== 'pause' && action !== 'resume') return 'This process does not know how';
    try {
      this.messaging[action](name);
    } catch (error) {
      return errorMessage(error);
    }
    tellOperation(this.messaging, operator, action, name, 'done, in this process');
    return undefined;
  }
}

/** @throws InvalidOptionError where a fleet would leave queues behind, or can have none */
function checkTransport({ environment, described }: ObservedMessaging): Transport {
  const refuse = (given: string, allowed: string): InvalidOptionError =>
    new InvalidOptionError('fleet', given, allowed);
  if (!described) throw refuse('given without an application', 'left out');
  if (environment.provision === false)
    throw refuse('given with «provision: false»', 'left out there: nobody else can make the queue of this process');
  const { transport } = described;
  if (transport.capabilities.keepsExclusive)
    throw refuse(
      `given on ${transport.system}`,
      'left out there, for the queue of a process that was killed stays. Open the dashboard of each process; «coordination» pauses in all of them',
    );
  return transport;
}
