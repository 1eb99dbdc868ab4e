import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Transport } from '../transport/transport.js';
import type { ArchivedEntry, ArchiveQuery, DeadLetterArchive } from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';
import { idsIn } from './queue-source.js';
import type { Candidate, RedriveLook, RedriveSource, SentFirst } from './redrive-source.js';
import { redrivenCopy } from './redriven-copy.js';

export interface ArchiveSourceParts {
  readonly archive: DeadLetterArchive;
  readonly transport: Transport;
  readonly clock: Clock;
  /** What the archive itself selects by. */
  readonly query: ArchiveQuery;
}

/** Renewed while a broker is slow to answer; what a process that died has held waits for its end. */
const LEASE_MS = 10_000;
const PAGE = 25;

interface ArchiveCandidate extends Candidate {
  readonly key: string;
}

/** An archive of dead letters. None of them needs its flag. */
export class ArchiveSource implements RedriveSource {
  /** Entries behind this place came since the first look. */
  private last: number | undefined;

  constructor(private readonly parts: ArchiveSourceParts) {}

  size(): Promise<number> {
    const { archive, query } = this.parts;
    return archive.count(query);
  }

  async look(): Promise<RedriveLook> {
    this.last ??= await this.parts.archive.lastSeq();
    return new ArchiveLook(this.parts, this.last);
  }

  /** A canary that was given up again is in its dead-letter queue, or archived once more. */
  async returned(canaries: readonly SentFirst[]): Promise<Iterable<string>> {
    const { archive, transport } = this.parts;
    const { queues } = transport;
    const ids = canaries.map(({ id }) => id);
    const returned = new Set<string>();
    let after = this.last ?? 0;
    for (let full = true; full;) {
      const page = await archive.page({ ids }, after, PAGE);
      for (const { message, seq } of page) {
        returned.add(message.id);
        after = seq;
      }
      full = page.length === PAGE;
    }
    // Where nobody can look into the queue, the canary is archived soon.
    if (!queues) return returned;
    const wanted = new Set(ids);
    for (const queue of new Set(canaries.flatMap(({ deadLetterQueue }) => deadLetterQueue ?? []))) {
      if ((await queues.depth(queue)) === undefined) continue;
      for (const id of await idsIn(queues, queue, wanted)) returned.add(id);
    }
    return returned;
  }
}

class ArchiveLook implements RedriveLook {
  private readonly token = randomUUID();
  private readonly held = new Set<string>();
  private readonly queues = new Set<string>();
  private page: ArchivedEntry[] = [];
  private readUpTo = 0;
  private cancelRenewal: CancelTimer | undefined;

  constructor(
    private readonly parts: ArchiveSourceParts,
    private readonly last: number,
  ) {}

  async next(): Promise<ArchiveCandidate | undefined> {
    if (this.page.length === 0) {
      const { archive, query } = this.parts;
      this.page = await archive.page(query, this.readUpTo, PAGE);
    }
    const entry = this.page.shift();
    if (!entry || entry.seq > this.last) return undefined;
    this.readUpTo = entry.seq;
    const { message } = entry;
    const letter = readDeadLetter(message, entry.deadLetterQueue);
    const { clock } = this.parts;
    return { key: entry.key, letter, copy: (attempt) => redrivenCopy(letter, message, attempt, clock.now()) };
  }

  async hold(batch: readonly Candidate[]): Promise<readonly Candidate[]> {
    const candidates = batch as readonly ArchiveCandidate[];
    const keys = await this.parts.archive.claim(
      candidates.map(({ key }) => key),
      this.token,
      LEASE_MS,
    );
    for (const key of keys) this.held.add(key);
    this.planRenewal();
    const ours = candidates.filter(({ key }) => this.held.has(key));
    for (const { letter } of ours) if (letter.deadLetterQueue !== undefined) this.queues.add(letter.deadLetterQueue);
    return ours;
  }

  async remove(confirmed: readonly Candidate[]): Promise<void> {
    const { archive } = this.parts;
    this.cancelRenewal?.();
    const keys = (confirmed as readonly ArchiveCandidate[]).map(({ key }) => key);
    await archive.delete(keys, this.token);
    for (const key of keys) this.held.delete(key);
    await this.release();
  }

  /** Of the queues that something was sent from: an archive holds those of many. */
  arrived(): Promise<number> {
    return this.parts.archive.count({ queues: [...this.queues] }, this.last);
  }

  async close(): Promise<void> {
    this.cancelRenewal?.();
    await this.release();
  }

  private async release(): Promise<void> {
    if (this.held.size === 0) return;
    await this.parts.archive.release([...this.held], this.token, 0);
    this.held.clear();
  }

  /** Where giving back fails the lease ends: the worst that follows is a copy that another process sends as well. */
  private planRenewal(): void {
    const { archive, clock } = this.parts;
    this.cancelRenewal?.();
    this.cancelRenewal = clock.after(
      LEASE_MS / 3,
      () => {
        this.planRenewal();
        archive.claim([...this.held], this.token, LEASE_MS).catch(() => undefined);
      },
      { background: true },
    );
  }
}
