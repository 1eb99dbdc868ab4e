import type { ConsumerInfo } from '@nats-io/jetstream';
import type { Subscription } from '@nats-io/transport-node';
import type { Clock } from '../../../clock/clock.js';
import { Binding, recordOf } from '../topology/binding.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';
import { covers } from '../topology/patterns.js';

/** A queue that was deleted without the server's notice reaching us counts as there for so long. */
const VALID_MS = 10_000;
const MOST_SUBJECTS = 10_000;

/** The sequence number since which a queue takes a subject; undefined where it does not, NaN where it cannot tell yet. */
type TakesSince = (subject: string) => number | undefined;

/** Called with whether a queue takes the subject, or with why that cannot be told. */
export type Verdict = (routable: boolean, error?: unknown) => void;

/**
 * Which subjects some queue takes. A server acknowledges a message that no consumer of an interest stream wants, and
 * drops it. So the list of consumers is asked for *after* the acknowledgement: who is not on it, or was made later, did
 * not take it.
 */
export class RoutingTable {
  /** Each subject that a queue takes, with the sequence number since which one does. */
  private readonly taken = new Map<string, number>();
  private validUntil = 0;
  private forgotten = 0;
  private waiting: { readonly subject: string; readonly sequence: number; readonly verdict: Verdict }[] = [];
  private asking = false;
  private readonly deletions: readonly Subscription[];

  constructor(
    private readonly link: Link,
    private readonly names: Names,
    private readonly clock: Clock,
  ) {
    // Without the permission for advisories, what is known is only forgotten later.
    this.deletions = [`CONSUMER.DELETED.${names.stream}.>`, `STREAM.DELETED.${names.stream}`].map((what) =>
      link.connection.subscribe(`$JS.EVENT.ADVISORY.${what}`, { callback: () => this.forget() }),
    );
  }

  /** A queue takes the message of this number, as far as is known; false where that has to be asked. */
  takes(subject: string, sequence: number): boolean {
    return this.clock.monotonic() < this.validUntil && (this.taken.get(subject) ?? Infinity) < sequence;
  }

  ask(subject: string, sequence: number, verdict: Verdict): void {
    this.waiting.push({ subject, sequence, verdict });
    if (!this.asking) void this.answer();
  }

  forget(): void {
    this.forgotten++;
    this.taken.clear();
  }

  close(): void {
    for (const subscription of this.deletions) subscription.unsubscribe();
  }

  private async answer(): Promise<void> {
    this.asking = true;
    while (this.waiting.length > 0) {
      const asked = this.waiting;
      this.waiting = [];
      await this.refresh().then(
        (queues) => {
          for (const { subject, sequence, verdict } of asked) {
            const since = this.learn(subject, queues);
            if (since < sequence || !queues.some((takes) => Number.isNaN(takes(subject)))) verdict(since < sequence);
            else verdict(false, new Error('it is just being declared'));
          }
        },
        (error: unknown) => asked.forEach(({ verdict }) => verdict(false, error)),
      );
    }
    this.asking = false;
  }

  private async refresh(): Promise<readonly TakesSince[]> {
    const validUntil = this.clock.monotonic() + VALID_MS;
    const { forgotten } = this;
    const queues: TakesSince[] = [];
    for await (const info of this.link.manager.consumers.list(this.names.stream)) queues.push(this.takesOf(info));
    // A consumer that was deleted while the list was on its way is perhaps still in it.
    this.taken.clear();
    this.validUntil = forgotten === this.forgotten ? validUntil : 0;
    return queues;
  }

  private learn(subject: string, queues: readonly TakesSince[]): number {
    const known = queues.map((takes) => takes(subject) ?? Infinity).filter((since) => !Number.isNaN(since));
    const since = Math.min(Infinity, ...known);
    if (since < Infinity && this.taken.size < MOST_SUBJECTS) this.taken.set(subject, since);
    return since;
  }

  private takesOf({ config }: ConsumerInfo): TakesSince {
    const record = recordOf(config);
    if (record) {
      const binding = new Binding(record, this.names);
      return (subject) => binding.takenSince(subject);
    }
    const { filter_subject: one, filter_subjects: many = one ? [one] : ['>'] } = config;
    return (subject) => (many.some((filter) => covers(filter, subject)) ? 0 : undefined);
  }
}
