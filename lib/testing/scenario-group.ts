import type { Outgoing } from '../transport/outgoing.js';
import type { Topology } from '../transport/topology.js';
import { type Client, isFence } from './contract/client.js';
import type { Consumer, ReceivedDelivery } from './contract/consumer.js';
import { everyByte, sorted } from './contract/samples.js';
import type { TestBed } from './contract/test-bed.js';
import type { Fate, PlannedGroup, PlannedMessage } from './scenario-plan.js';

/** What happened in one group. */
export interface GroupTrace {
  /** Messages without delay, in the order of their first delivery. */
  readonly order: readonly string[];
  /** What became of each message: `m3: released, released, acked`. */
  readonly outcomes: readonly string[];
  /** Deliveries reported as lost, one list per cut. */
  readonly lost: readonly (readonly string[])[];
  /** What is in the dead-letter queue at the end. */
  readonly deadLetters: readonly string[];
}

/** Marks the copy that a retry makes. */
const COPY = 'scenario-copy';

/** One group of a scenario: what it should get, what it got, and what its handler does with it. */
export class ScenarioGroup {
  consumer!: Consumer;
  private readonly expected = new Map<string, PlannedMessage>();
  private readonly steps = new Map<string, string[]>();
  private readonly order: string[] = [];
  private readonly lost: string[][] = [];
  /** Originals whose end has begun, and those acked, each with the number of cuts there had been. */
  private readonly ending = new Set<string>();
  private readonly finished = new Map<string, number>();
  /** Retries made, and those that did not come yet. */
  private readonly copied = new Set<string>();
  private readonly copies = new Set<string>();
  /** What may be kept until the connection is lost, because it is going to be. */
  private readonly keepable = new Set<string>();
  private held: ReceivedDelivery[] = [];
  private underWay = 0;
  private statesBeforeCut = 0;
  private cuts = 0;
  private cutting = false;

  constructor(
    private readonly bed: TestBed,
    private readonly client: Client,
    readonly planned: PlannedGroup,
    readonly topology: Topology,
    private readonly fate: (id: string) => Fate,
  ) {}

  /** `cutAhead`: a connection is going to be lost after it is published. */
  expect(message: PlannedMessage, cutAhead: boolean): void {
    this.expected.set(message.id, message);
    if (cutAhead && message.delayMs === undefined && this.fate(message.id).held) this.keepable.add(message.id);
  }

  async subscribe(): Promise<void> {
    const settle = (received: ReceivedDelivery): void => this.handle(received);
    this.consumer = await this.client.consume(this.topology, { prefetch: this.planned.prefetch, settle });
  }

  /** Waits until nothing is under way but what is delayed and what is held. */
  async quiet(): Promise<void> {
    const immediate = (): string[] => [...this.expected.values()].filter((one) => !one.delayMs).map(({ id }) => id);
    const open = (): string[] => immediate().filter((id) => !this.finished.has(id) && !this.isHeld(id));
    await this.bed.eventually(
      () => this.underWay === 0 && open().length === 0,
      () => `${this.planned.name} handles ${open().join(', ')} (${this.seen()})`,
    );
  }

  beforeCut(): void {
    this.statesBeforeCut = this.consumer.states.length;
    this.cutting = true;
    this.cuts++;
  }

  /** Waits, after a cut, until what was held is lost and the consumer is back. */
  async back(): Promise<void> {
    const states = (): boolean[] => this.consumer.states.slice(this.statesBeforeCut);
    await this.bed.eventually(
      () => states().includes(false) && states().at(-1) === true,
      () => `${this.planned.name} consumes again`,
    );
    await this.bed.eventually(() => this.held.every(({ state }) => state === 'lost'), 'what was held is lost');
    this.lost.push(sorted(this.held.map(({ id }) => id)));
    this.held = [];
    this.cuts++;
    this.cutting = false;
  }

  /** Waits until everything has come to its end. */
  async complete(): Promise<void> {
    const open = (): string[] => [...this.expected.keys()].filter((id) => !this.finished.has(id));
    await this.bed.eventually(
      () => open().length === 0 && this.copies.size === 0 && this.underWay === 0,
      () => `${this.planned.name} handles ${[...open(), ...this.copies].join(', ')} (${this.seen()})`,
    );
  }

  /** What came although nobody sent it here. */
  surplus(): string[] {
    return [...this.steps.keys()].filter((id) => !this.expected.has(id));
  }

  trace(deadLetters: readonly string[]): GroupTrace {
    const outcomes = sorted([...this.steps].map(([id, steps]) => `${id}: ${steps.join(', ')}`));
    return { order: this.order, outcomes, lost: this.lost, deadLetters: [...new Set(deadLetters)] };
  }

  /** For whoever looks for the cause: whether a message came, its end was not reached, or its copy was not taken. */
  private seen(): string {
    const { received, states } = this.consumer;
    const deliveries = received.map(({ id, state }) => `${id} ${state}`).join(', ') || 'none';
    return `deliveries: ${deliveries}; copies being written: ${this.underWay}; consuming: ${states.join(', ')}; ${this.client.told()}`;
  }

  private handle(received: ReceivedDelivery): void {
    const { message, id } = received;
    if (isFence(message)) return received.ack();
    if (!message.body.equals(Buffer.concat([Buffer.from(id), everyByte]))) {
      this.bed.violation(`The body of ${id} has changed`);
    }
    if (message.headers[COPY] !== undefined) return this.handleCopy(received);
    if (this.ending.has(id)) return this.handleAgain(received);
    const steps = this.stepsOf(id);
    const delayed = this.expected.get(id)?.delayMs !== undefined;
    if (steps.length === 0 && !delayed && !this.order.includes(id)) this.order.push(id);
    const fate = this.fate(id);
    // Held messages leave at least one slot for the others, and each is held once.
    if (this.held.length < this.planned.prefetch - 1 && this.keepable.delete(id)) {
      this.held.push(received);
    } else if (steps.length < fate.releases) {
      steps.push('released');
      received.release();
    } else {
      this.ending.add(id);
      void this.finish(received, fate, steps);
    }
  }

  private isHeld(id: string): boolean {
    return this.held.some((received) => received.id === id);
  }

  private async finish(received: ReceivedDelivery, { end }: Fate, steps: string[]): Promise<void> {
    const { id, message } = received;
    steps.push({ ack: 'acked', retry: 'retried', 'dead-letter': 'dead-lettered' }[end]);
    if (end !== 'ack') {
      this.underWay++;
      if (end === 'retry') [this.copied, this.copies].forEach((set) => set.add(id));
      await this.client.insist(this.copyOf(message, end)).catch((error: unknown) => this.bed.violation(String(error)));
      this.underWay--;
    }
    this.finished.set(id, this.cuts);
    received.ack();
    this.bed.signal.fire();
  }

  private copyOf(message: ReceivedDelivery['message'], end: 'dead-letter' | 'retry'): Outgoing {
    if (end === 'dead-letter') {
      return this.client.outgoing({ kind: 'dead-letter', route: this.topology.deadLetter?.route ?? '' }, message);
    }
    const headers = { ...message.headers, [COPY]: 1 };
    return this.client.toQueue(this.topology.queue, { ...message, headers }, { dueAt: this.bed.now + 100 });
  }

  private handleCopy(received: ReceivedDelivery): void {
    received.ack();
    if (!this.copied.has(received.id)) this.bed.violation(`A copy of ${received.id} came that another group made`);
    else if (this.copies.delete(received.id)) this.stepsOf(received.id).push('copy acked');
    else if (this.cuts === 0) this.bed.violation(`The copy of ${received.id} came twice`);
  }

  /** An ack, or the confirm of a due message on its way, can be lost with its connection. Else nothing comes again. */
  private handleAgain(received: ReceivedDelivery): void {
    const { id } = received;
    const excused = this.expected.get(id)?.delayMs !== undefined ? this.cuts > 0 : this.finished.get(id) !== this.cuts;
    if (!excused && !this.cutting) this.bed.violation(`${id} came again although no connection was lost since its ack`);
    received.ack();
  }

  private stepsOf(id: string): string[] {
    const steps = this.steps.get(id) ?? [];
    this.steps.set(id, steps);
    return steps;
  }
}
