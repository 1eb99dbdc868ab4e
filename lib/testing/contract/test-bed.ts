import assert from 'node:assert/strict';
import { types } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import type { HarnessEnvironment, HarnessFaults, HarnessOverrides, TransportHarness } from '../transport-harness.js';
import { CaseScope } from './case-scope.js';
import { Client } from './client.js';

export type FaultSwitch = 'refuse' | 'dropConfirms' | 'block' | 'poison';

export interface ConnectOptions {
  readonly environment?: Partial<HarnessEnvironment>;
  readonly overrides?: HarnessOverrides;
  /** False: do not wait until connected. */
  readonly connected?: false;
}

/** The surroundings of one case: a scope with clients, which are closed afterwards, and with faults. */
export class TestBed extends CaseScope {
  private readonly clients: Client[] = [];
  private readonly switchedOn = new Set<FaultSwitch>();

  /** Runs a case and cleans up after it. Rejects when it fails, or when a promise that always holds was broken. */
  static async use(harness: TransportHarness, run: (bed: TestBed) => Promise<void>): Promise<void> {
    const bed = new TestBed(harness);
    const fallAsleep = stayAwake();
    const problems: Error[] = [];
    const attempt = (work: Promise<void>): Promise<void> =>
      work.catch((error: unknown) => {
        problems.push(types.isNativeError(error) ? error : new Error('Not an error was thrown', { cause: error }));
      });
    await attempt(run(bed));
    await attempt(bed.close());
    fallAsleep();
    const [problem] = problems;
    if (bed.violations.size > 0) assert.fail([...bed.violations, ...(problem ? [problem.message] : [])].join('\n'));
    if (problem) throw problem;
  }

  get faults(): Required<HarnessFaults> {
    return this.harness.faults as Required<HarnessFaults>;
  }

  async connect({ environment, overrides, connected }: ConnectOptions = {}): Promise<Client> {
    const client = new Client(this, this.harness.create(overrides));
    this.clients.push(client);
    await this.settled(
      client.transport.connect({
        ...this.environment,
        ...environment,
        onEvent: (event) => client.onEvent(event),
      }),
      'connect()',
    );
    if (connected !== false) await client.connected();
    return client;
  }

  /** Turns a fault on or off; what is still on at the end of the case is turned off. */
  async toggle(fault: FaultSwitch, on: boolean): Promise<void> {
    if (on) this.switchedOn.add(fault);
    else this.switchedOn.delete(fault);
    await this.settled(this.faults[fault](on), `${fault}(${on})`);
  }

  /** No connection and none to be had, until `toggle('refuse', false)`. */
  async outage(...clients: Client[]): Promise<void> {
    await this.toggle('refuse', true);
    await this.cut(...clients);
  }

  /** Cuts all connections and waits until these clients have noticed. */
  async cut(...clients: Client[]): Promise<void> {
    const before = clients.map((client) => client.count('disconnected'));
    await this.settled(this.faults.disconnect(), 'disconnect()');
    await this.eventually(
      () => clients.every((client, index) => client.count('disconnected') > (before[index] ?? 0)),
      'every client reports that it is disconnected',
    );
  }

  async close(): Promise<void> {
    for (const fault of this.switchedOn) await this.toggle(fault, false);
    const closing = this.clients.map((client) => this.settled(client.transport.close(), 'close() of a transport'));
    const results = await Promise.allSettled(closing);
    await this.removeTopologies();
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed) await closing[results.indexOf(failed)];
  }

  /** Unbound, a queue of an earlier case catches nothing of a later one. */
  private async removeTopologies(): Promise<void> {
    const topologies = [...this.topologies.values()];
    if (topologies.length === 0) return;
    if (this.harness.remove) {
      const deadLetters = topologies.flatMap(({ deadLetter }) => (deadLetter ? [deadLetter.queue] : []));
      return this.harness.remove([...new Set([...this.topologies.keys(), ...deadLetters])]);
    }
    if (this.harness.lacks?.includes('queues')) return;
    const janitor = await this.connect();
    for (const topology of topologies) await this.settled(janitor.queues.unbind(topology), 'unbind()');
    await this.settled(janitor.transport.close(), 'close()');
  }
}

/** Keeps the process alive: the timers of a clock do not, and a transport inside the process may have nothing else. */
function stayAwake(): () => void {
  const { port1 } = new MessageChannel();
  port1.on('message', () => undefined);
  return () => port1.close();
}
