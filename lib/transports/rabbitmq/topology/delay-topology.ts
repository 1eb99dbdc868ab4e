import { bandOf, LEVELS } from './delay-path.js';
import { transportHeader, type Names } from '../names.js';
import type { Operation } from './operations.js';

/*
 * publish ─▶ <exchange>.delay ─▶ level queue ─▶ its exit exchange ─▶ level queue ─▶ … ─▶ <exchange>.due ─▶ the queue
 *
 * The message carries its path: `messaging-delay` selects the first level, `messaging-delay-<n>` the one after level n.
 * Headers exchanges select by them, so the routing key is free for the queue's name. What <exchange>.due cannot route
 * goes to the forwarder's queue, never to nothing.
 *
 * A level lets a message go only after the next queue has confirmed it (at-least-once dead-lettering).
 */

/** The same in every service that shares the exchange, whatever its options: nothing here may depend on them. */
const DELIVERY_LIMIT = 1_000_000;

/** Where delays begin and end. */
export function delayEnds(names: Names): Operation[] {
  return [
    { kind: 'exchange', name: names.delay, type: 'headers' },
    { kind: 'exchange', name: names.unrouted, type: 'fanout' },
    {
      kind: 'queue',
      name: names.dueQueue,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': DELIVERY_LIMIT },
    },
    { kind: 'binding', queue: names.dueQueue, exchange: names.unrouted, key: '' },
    { kind: 'exchange', name: names.due, type: 'direct', arguments: { 'alternate-exchange': names.unrouted } },
  ];
}

/**
 * What these bands are made of, each thing once: queues, then the ways between and out of them, then the ways in, for no
 * message may get in before it can get out. What stands together does not depend on each other.
 */
export function delayBands(tops: readonly number[], names: Names): Operation[][] {
  const bands = tops.map(bandOf);
  const ways = bands.flatMap((band) => delayWays(band, names));
  return [
    [...new Set(bands.flat())].flatMap((level) => levelQueue(level, names)),
    [...new Map(ways.map((way) => [JSON.stringify(way), way])).values()],
    tops.map((top) => wayIn(top, names)),
  ];
}

function levelQueue(level: number, names: Names): Operation[] {
  return [
    { kind: 'exchange', name: levelName(names, level), type: 'headers' },
    {
      kind: 'queue',
      name: levelName(names, level),
      arguments: {
        'x-queue-type': 'quorum',
        'x-message-ttl': 2 ** level,
        'x-dead-letter-exchange': levelName(names, level),
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
        'x-delivery-limit': DELIVERY_LIMIT,
      },
    },
  ];
}

/** The ways between the levels of a band, and out of it. */
function delayWays(band: readonly number[], names: Names): Operation[] {
  const ways: Operation[] = [];
  for (const level of band) {
    const hop = transportHeader.hop(level);
    const exit = levelName(names, level);
    ways.push({ kind: 'exchange-binding', destination: names.due, source: exit, arguments: matching(hop, DUE) });
    for (const next of band) {
      if (next < level)
        ways.push({
          kind: 'binding',
          queue: levelName(names, next),
          exchange: exit,
          key: '',
          arguments: matching(hop, String(next)),
        });
    }
  }
  return ways;
}

function wayIn(top: number, names: Names): Operation {
  return {
    kind: 'binding',
    queue: levelName(names, top),
    exchange: names.delay,
    key: '',
    arguments: matching(transportHeader.delay, String(top)),
  };
}

/** Everything that delayed messages can wait in. */
export function delayQueues(names: Names): string[] {
  return [...LEVELS.map((level) => levelName(names, level)), names.dueQueue];
}

/** Lets what is due for a queue reach it without the forwarder. */
export function dueBinding(queue: string, names: Names): Operation {
  return { kind: 'binding', queue, exchange: names.due, key: queue };
}

/** The headers that lead a message along a path. */
export function pathHeaders(levels: readonly number[]): Record<string, string> {
  const headers: Record<string, string> = { [transportHeader.delay]: String(levels[0]) };
  levels.forEach(
    (level, at) => (headers[transportHeader.hop(level)] = at + 1 < levels.length ? String(levels[at + 1]) : DUE),
  );
  return headers;
}

const DUE = 'due';

function levelName(names: Names, level: number): string {
  return `${names.delay}.${level}`;
}

function matching(name: string, value: string): Record<string, string> {
  return { 'x-match': 'all', [name]: value };
}
