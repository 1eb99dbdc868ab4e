import { systemClock } from '../clock/clock.js';
import type { DeadLetter } from '../dead-letter/dead-letter.js';
import { compileSelection, type DeadLetterConditions } from '../dead-letter/dead-letter-selection.js';
import { type RedriveOptions, type RedriveResult, resolveRedrive } from '../dead-letter/redrive-options.js';
import type { DeadEntry } from '../durable-queue/queue-entry.js';
import { UnsupportedError } from '../errors/configuration-errors.js';
import { purgeDeadLetters, readDeadLetters, retryDeadLetters, sendable } from '../requeue/data-directory.js';
import { readMeta } from '../requeue/requeue-meta.js';
import type { PlaceWork } from './dead-letters-place.js';

/** The folder of a requeue service. What is redriven goes back into its queue there: the service sends it when it starts. */
export function withRequeueDirectory<T>(path: string, work: PlaceWork<T>): Promise<T> {
  return work({
    name: 'the folder',
    async count() {
      let count = 0;
      await readDeadLetters(path, () => count++);
      return count;
    },
    async list(conditions, { limit = 100, offset = 0 }) {
      const fits = fitting(conditions);
      const found: DeadLetter[] = [];
      let before = 0;
      await readDeadLetters(path, (dead) => {
        if (found.length < limit && fits(dead) && before++ >= offset) found.push(letterOf(dead));
      });
      return found;
    },
    redrive: (conditions, options) => redrive(path, conditions, options),
    delete: ({ all: _, ...conditions }) => purgeDeadLetters(path, { fits: fitting(conditions) }),
  });
}

async function redrive(
  path: string,
  conditions: DeadLetterConditions,
  options: RedriveOptions,
): Promise<RedriveResult> {
  const { dryRun, limit } = resolveRedrive(options);
  const startedAt = systemClock.now();
  const selects = fitting(conditions);
  const failed: { readonly id: string; readonly error: UnsupportedError }[] = [];
  const counts = { examined: 0, matched: 0, done: 0, arrived: 0 };
  const fits = (dead: DeadEntry): boolean => {
    counts.examined++;
    if (counts.done >= limit || !selects(dead)) return false;
    counts.matched++;
    const isSent = dryRun || sendable(dead) !== undefined;
    if (isSent) counts.done++;
    else failed.push({ id: dead.id, error: new UnsupportedError('the service has refused it, and cannot send it') });
    return isSent;
  };
  if (dryRun) await readDeadLetters(path, fits);
  else await retryDeadLetters(path, startedAt, { fits });
  const stopped = counts.done >= limit ? { stopped: 'limit' as const } : {};
  return { ...counts, ...(dryRun && { done: 0 }), failed, startedAt, ...stopped };
}

function fitting(conditions: DeadLetterConditions): (dead: DeadEntry) => boolean {
  const matches = compileSelection(conditions, systemClock.now());
  return (dead) => matches(letterOf(dead));
}

function letterOf({ id, queue, attempts, meta, body, time, reason, ...death }: DeadEntry): DeadLetter {
  const { subject = '', headers = [] } = readMeta(meta) ?? {};
  return {
    id,
    deadLetterQueue: undefined,
    route: subject,
    body,
    headers: Object.fromEntries(headers.map(([name, values]) => [name, values.join(', ')])),
    reason,
    error: { class: death.errorClass, code: death.errorCode, message: death.errorMessage },
    attempts,
    time,
    origin: { queue },
  };
}
