import assert from 'node:assert/strict';
import type { Outgoing } from '../transport/outgoing.js';
import type { Topology } from '../transport/topology.js';
import type { Client } from './contract/client.js';
import type { ReceivedDelivery } from './contract/consumer.js';
import { everyByte, sorted } from './contract/samples.js';
import { TestBed } from './contract/test-bed.js';
import { type GroupTrace, ScenarioGroup } from './scenario-group.js';
import {
  messagesOf,
  type PlannedMessage,
  type PlannedStep,
  planScenario,
  receivers,
  type ScenarioPlan,
} from './scenario-plan.js';
import type { TransportHarness } from './transport-harness.js';

/** What happened, without what may differ from run to run: times, and the order between queues. */
export interface ScenarioTrace {
  /** The results of each publish: `m3: failed, confirmed`. */
  readonly published: readonly string[];
  readonly groups: Readonly<Record<string, GroupTrace>>;
}

/**
 * Plays a random scenario – publishing, retries, dead letters, delays, pauses, lost connections – and tells what each
 * group got. The same seed gives the same trace on every transport whose harness can `disconnect` and `refuse`.
 */
export async function runScenario(harness: TransportHarness, seed: number): Promise<ScenarioTrace> {
  let trace: ScenarioTrace | undefined;
  await TestBed.use(harness, async (bed) => {
    trace = await new Scenario(bed, planScenario(seed)).play();
  });
  return trace as ScenarioTrace;
}

class Scenario {
  private publisher!: Client;
  private workers!: readonly Client[];
  private readonly groups = new Map<string, ScenarioGroup>();
  private readonly published = new Map<string, string[]>();

  constructor(
    private readonly bed: TestBed,
    private readonly plan: ScenarioPlan,
  ) {}

  async play(): Promise<ScenarioTrace> {
    this.publisher = await this.bed.connect();
    this.workers = [await this.bed.connect(), await this.bed.connect()];
    for (const [index, planned] of this.plan.groups.entries()) {
      const patterns = planned.patterns.map((pattern) => this.bed.route(pattern));
      const topology = this.bed.topology(planned.name, patterns);
      const worker = this.workers[index % this.workers.length];
      const group = new ScenarioGroup(this.bed, worker, planned, topology, (id) => this.plan.fate(planned.name, id));
      await group.subscribe();
      this.groups.set(planned.name, group);
    }
    const cuts = this.plan.steps.map(({ kind }) => kind === 'disconnect' || kind === 'outage');
    const lastCut = cuts.lastIndexOf(true);
    for (const [index, step] of this.plan.steps.entries()) {
      await this.step(step, index < lastCut);
    }
    return this.finish();
  }

  private async step(step: PlannedStep, cutAhead: boolean): Promise<void> {
    const expected = (): void => this.expect(messagesOf(step), cutAhead);
    switch (step.kind) {
      case 'publish':
        expected();
        return this.publish(step.messages);
      case 'pause': {
        await this.quiet();
        const { consumer } = this.group(step.group);
        consumer.pause();
        expected();
        await this.publish(step.messages);
        return consumer.resume();
      }
      case 'resubscribe': {
        await this.quiet();
        const group = this.group(step.group);
        await group.consumer.stop();
        expected();
        await this.publish(step.messages);
        return group.subscribe();
      }
      case 'disconnect':
        await this.beforeCut();
        await this.bed.cut(this.publisher, ...this.workers);
        return this.back();
      case 'outage':
        await this.beforeCut();
        await this.bed.outage(this.publisher, ...this.workers);
        await this.publish(step.messages);
        await this.bed.toggle('refuse', false);
        await this.back();
        expected();
        return this.publish(step.messages);
    }
  }

  private expect(messages: readonly PlannedMessage[], cutAhead: boolean): void {
    for (const message of messages) {
      for (const name of receivers(this.plan, message)) this.group(name).expect(message, cutAhead);
    }
  }

  private async publish(messages: readonly PlannedMessage[]): Promise<void> {
    const results = await this.publisher.publish(...messages.map((message) => this.outgoing(message)));
    for (const [index, { id }] of messages.entries()) {
      this.published.set(id, [...(this.published.get(id) ?? []), results[index].status]);
    }
  }

  private outgoing({ id, to, delayMs }: PlannedMessage): Outgoing {
    // Whether a delayed message finds a queue shows only when it is due: not every broker can tell before.
    const more = delayMs === undefined ? {} : { dueAt: this.bed.now + delayMs, mandatory: false };
    const fields = { id, body: Buffer.concat([Buffer.from(id), everyByte]) };
    if ('group' in to) return this.publisher.toQueue(this.group(to.group).topology.queue, fields, more);
    return this.publisher.toRoute(this.bed.route(to.route), fields, more);
  }

  /** Nothing is under way but what is delayed and what is held on purpose. */
  private async quiet(): Promise<void> {
    for (const group of this.groups.values()) await group.quiet();
  }

  private async beforeCut(): Promise<void> {
    await this.quiet();
    for (const group of this.groups.values()) group.beforeCut();
  }

  /** After a cut: everything works again. */
  private async back(): Promise<void> {
    for (const client of [this.publisher, ...this.workers]) await client.connected();
    for (const group of this.groups.values()) await group.back();
  }

  private async finish(): Promise<ScenarioTrace> {
    const groups: Record<string, GroupTrace> = {};
    for (const group of this.groups.values()) {
      await group.complete();
      const { consumer, topology } = group;
      const surplus = await this.publisher.upToFence(consumer).then(() => group.surplus());
      assert.deepEqual(surplus, [], 'messages that nobody sent to this group');
      await this.publisher.depthOf(topology.queue, 0);
      groups[group.planned.name] = group.trace(await this.deadLetters(topology));
    }
    const published = [...this.published].map(([id, results]) => `${id}: ${results.join(', ')}`);
    return { published, groups };
  }

  private async deadLetters(topology: Topology): Promise<string[]> {
    const consumer = await this.publisher.consume(this.bed.deadLetters(topology));
    const read: ReceivedDelivery[] = await this.publisher.upToFence(consumer);
    return sorted(read.map(({ id }) => id));
  }

  private group(name: string): ScenarioGroup {
    return this.groups.get(name)!;
  }
}
