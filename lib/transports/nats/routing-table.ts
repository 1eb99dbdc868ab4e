import type { ConsumerInfo } from '@nats-io/jetstream';
import type { Subscription } from '@nats-io/transport-node';
import type { Clock } from '../../clock/clock.js';
import { Binding, recordOf } from './binding.js';
import type { Link } from './link.js';
import type { Names } from './names.js';
import { covers } from './patterns.js';

/** A queue that was deleted without the server's notice reaching us counts as there for so long. */
const VALID_MS = 10_000;
const MOST_SUBJECTS = 10_000;

type Takes = (subject: string) => boolean;

/** Called with whether a queue takes the subject, or with why that cannot be told. */
export type Verdict = (routable: boolean, error?: unknown) => void;

/**
 * Which subjects some queue takes. A server acknowledges a message that no consumer of an interest stream wants, and
 * drops it. So the list of consumers is asked for *after* the acknowledgement: who is not on it did not take it.
 */
export class RoutingTable {
  private readonly taken = new Set<string>();
  private validUntil = 0;
  private waiting: { readonly subject: string; readonly verdict: Verdict }[] = [];
  private asking = false;
  private readonly deletions: Subscription;

  constructor(
    private readonly link: Link,
    private readonly names: Names,
    private readonly clock: Clock,
  ) {
    const subject = `$JS.EVENT.ADVISORY.CONSUMER.DELETED.${names.stream}.>`;
    // Without the permission for it, what is known is only forgotten later.
    this.deletions = link.connection.subscribe(subject, { callback: () => this.forget() });
  }

  /** A queue takes it, as far as is known; false where that has to be asked. */
  takes(subject: string): boolean {
    return this.clock.monotonic() < this.validUntil && this.taken.has(subject);
  }

  ask(subject: string, verdict: Verdict): void {
    this.waiting.push({ subject, verdict });
    if (!this.asking) void this.answer();
  }

  forget(): void {
    this.validUntil = 0;
  }

  close(): void {
    this.deletions.unsubscribe();
  }

  private async answer(): Promise<void> {
    this.asking = true;
    while (this.waiting.length > 0) {
      const asked = this.waiting;
      this.waiting = [];
      await this.refresh().then(
        (queues) => asked.forEach(({ subject, verdict }) => verdict(this.learn(subject, queues))),
        (error: unknown) => asked.forEach(({ verdict }) => verdict(false, error)),
      );
    }
    this.asking = false;
  }

  private async refresh(): Promise<readonly Takes[]> {
    const validUntil = this.clock.monotonic() + VALID_MS;
    this.validUntil = validUntil;
    const queues: Takes[] = [];
    for await (const info of this.link.manager.consumers.list(this.names.stream)) queues.push(this.takesOf(info));
    this.taken.clear();
    return queues;
  }

  private learn(subject: string, queues: readonly Takes[]): boolean {
    if (!queues.some((takes) => takes(subject))) return false;
    if (this.taken.size < MOST_SUBJECTS) this.taken.add(subject);
    return true;
  }

  private takesOf({ config }: ConsumerInfo): Takes {
    const record = recordOf(config);
    if (record) {
      const binding = new Binding(record, this.names);
      return (subject) => binding.originOf(subject, Infinity) !== undefined;
    }
    const { filter_subject: one, filter_subjects: many = one ? [one] : ['>'] } = config;
    return (subject) => many.some((filter) => covers(filter, subject));
  }
}
