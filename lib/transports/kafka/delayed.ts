import type { IncomingRecord, OutgoingRecord, RecordHeaders } from './client-port.js';
import type { Names } from './names.js';

/** The wait in the shortest level, in milliseconds: so late something can come that is due sooner than what stands before it. */
const SHORTEST_MS = 250;
const FACTOR = 4;
const LEVELS = 10;

/** What is not due waits in one of these topics for so long and is then looked at again: 250 ms, 1 s, 4 s, … 18 h. */
export const LEVEL_WAITS_MS: readonly number[] = Array.from({ length: LEVELS }, (_, at) => SHORTEST_MS * FACTOR ** at);

/** By how much the clocks of processes may differ before something is done about it. */
const AHEAD_MS = 1_000;

/** The longest delay. What is longer than the last level waits in it several times. */
export const MAX_DELAY_MS = 365 * 86_400_000;

/** Where something waits next, and until when: everything in a level waits equally long, so that the first is due first. */
export function nextWait(dueAt: number, now: number): { readonly levelMs: number; readonly until: number } {
  const left = dueAt - now;
  const levelMs = LEVEL_WAITS_MS.filter((wait) => wait <= left).at(-1);
  return levelMs === undefined ? { levelMs: SHORTEST_MS, until: dueAt } : { levelMs, until: now + levelMs };
}

/** Headers of a record that waits, for whoever sends it on. */
const waiting = {
  topic: 'messaging-kafka-topic',
  dueAt: 'messaging-kafka-due-at',
  /** When its wait in this level is over. */
  until: 'messaging-kafka-until',
  /** It may go nowhere when it is due. */
  optional: 'messaging-kafka-optional',
  /** How often it was due and nobody took it. */
  round: 'messaging-kafka-round',
} as const;

export interface Due {
  readonly dueAt: number;
  readonly optional: boolean;
  readonly round?: number;
}

/** The record as it waits for the first, or the next, part of its time. */
export function delayed(record: OutgoingRecord, due: Due, now: number, names: Names): OutgoingRecord {
  const { levelMs, until } = nextWait(due.dueAt, now);
  return {
    key: record.key,
    value: record.value,
    topic: names.delayTopic(levelMs),
    headers: {
      ...record.headers,
      [waiting.topic]: record.topic,
      [waiting.dueAt]: String(Math.ceil(due.dueAt)),
      [waiting.until]: String(Math.ceil(until)),
      ...(due.optional && { [waiting.optional]: 'true' }),
      ...(due.round && { [waiting.round]: String(due.round) }),
    },
  };
}

/** What waited, as it was. Undefined: it is none of ours. */
export function undelayed(record: IncomingRecord): { readonly record: OutgoingRecord; readonly due: Due } | undefined {
  const headers: Record<string, RecordHeaders[string]> = { ...record.headers };
  const topic = take(headers, waiting.topic);
  const dueAt = Number(take(headers, waiting.dueAt));
  const round = Number(take(headers, waiting.round) ?? 0);
  const optional = take(headers, waiting.optional) !== undefined;
  take(headers, waiting.until);
  if (topic === undefined || !Number.isFinite(dueAt)) return undefined;
  return {
    record: { topic, key: record.key, value: record.value ?? Buffer.alloc(0), headers },
    due: { dueAt, optional, round },
  };
}

/**
 * When its wait in its level is over. What would wait longer than its level does is of a clock that is ahead: it is not waited
 * for, so that it does not keep up what is behind it.
 */
export function waitsUntil({ headers, topic }: IncomingRecord, now: number): number {
  const until = Number(headers[waiting.until]);
  const levelMs = Number(topic.slice(topic.lastIndexOf('.') + 1));
  return Number.isFinite(until) && !(until > now + levelMs + AHEAD_MS) ? until : 0;
}

function take(headers: Record<string, RecordHeaders[string]>, name: string): string | undefined {
  const text = headers[name]?.toString();
  delete headers[name];
  return text;
}
