import { hostname } from 'node:os';
import type { ObservedMessaging } from '../observed-messaging.js';
import { subscriptionStates } from '../subscription-states.js';
import { troublesOf } from '../troubles.js';

/** What a process tells of itself: no payloads, no ids of messages, no credentials. */
export interface ProcessReport {
  /** No other process has it, not even after a restart. */
  readonly id: string;
  /** Where it is sent commands. */
  readonly queue: string;
  readonly service: string;
  readonly connection: string;
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly version?: string;
  readonly status: 'up' | 'degraded' | 'down';
  readonly troubles: readonly string[];
  readonly inFlight: number;
  /** Messages that it could not publish yet. */
  readonly waiting: number;
  readonly subscriptions: readonly ReportedSubscription[];
  /** Subscriptions that there is no room for. */
  readonly more: number;
}

interface ReportedSubscription {
  readonly name: string;
  readonly state: string;
  readonly inFlight: number;
  readonly reason?: string;
}

type Given = Pick<ProcessReport, 'id' | 'queue' | 'version'>;

/** A message may have 64 KiB, in which the signature has to fit too. */
const MOST_BYTES = 60_000;
const MOST_TROUBLES = 10;
const MOST_CHARACTERS = 300;
const shortened = (text: string): string => text.slice(0, MOST_CHARACTERS);

export function reportOf(messaging: ObservedMessaging, given: Given): ProcessReport {
  const { environment, connection } = messaging;
  const health = messaging.health();
  const all = subscriptionStates(messaging, health).map(({ name, state, inFlight, reason }) => ({
    ...{ name, state, inFlight },
    ...(reason !== undefined && { reason: shortened(reason) }),
  }));
  const report = {
    ...given,
    ...{ service: environment.service, connection, host: hostname(), pid: process.pid },
    startedAt: Math.round(environment.clock.now() - process.uptime() * 1_000),
    status: health.status,
    troubles: troublesOf(health)
      .slice(0, MOST_TROUBLES)
      .map(({ text }) => shortened(text)),
    inFlight: all.reduce((sum, { inFlight }) => sum + inFlight, 0),
    waiting: health.retryQueue.depth,
  };
  let room = MOST_BYTES - Buffer.byteLength(JSON.stringify(report));
  const subscriptions = all.filter((one) => (room -= Buffer.byteLength(JSON.stringify(one)) + 1) > 0);
  return { ...report, subscriptions, more: all.length - subscriptions.length };
}

/** What another process has sent, which may be of another version. */
export function isReport(value: unknown): value is ProcessReport {
  const { troubles, subscriptions, version, ...rest } = (value ?? {}) as Partial<ProcessReport>;
  const texts = [rest.id, rest.queue, rest.service, rest.connection, rest.host, rest.status, version ?? ''];
  const numbers = [rest.pid, rest.startedAt, rest.inFlight, rest.waiting, rest.more];
  return (
    allAre('string', texts) &&
    allAre('number', numbers) &&
    Array.isArray(troubles) &&
    allAre('string', troubles) &&
    Array.isArray(subscriptions) &&
    subscriptions.every((one: Partial<ReportedSubscription> | null) =>
      one ? allAre('string', [one.name, one.state, one.reason ?? '']) && allAre('number', [one.inFlight]) : false,
    )
  );
}

function allAre(type: 'string' | 'number', values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === type);
}
