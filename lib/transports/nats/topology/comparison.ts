import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { ConsumerConfig } from '@nats-io/jetstream';
import { NANOS_PER_MS } from '../connection/link.js';
import type { QueueRecord } from './binding.js';

/** What of a queue that exists is another than is wanted, in one text; undefined: nothing that cannot be added. */
export function mismatchOf(found: QueueRecord, wanted: QueueRecord): string | undefined {
  const told: string[] = [];
  const isBound = Object.keys(wanted.patterns).length > 0 && Object.keys(found.patterns).length > 0;
  if (isBound && found.topic !== wanted.topic) told.push(another('topic', wanted.topic, found.topic));
  const [ours, theirs] = [wanted.deadLetter, found.deadLetter].map((target) => target && describeTarget(target));
  if (ours !== undefined && theirs !== undefined && ours !== theirs)
    told.push(another('dead-letter queue', ours, theirs));
  return told.length === 0 ? undefined : explained(wanted.queue, told);
}

/** With `provision: false`: routes that are wanted and not bound. @throws TopologyMismatchError */
export function checkBound(found: QueueRecord, { queue, patterns }: QueueRecord): void {
  const lacking = Object.keys(patterns).filter((pattern) => found.patterns[pattern] !== 0 && patterns[pattern] === 0);
  if (lacking.length === 0) return;
  const bound = Object.keys(found.patterns).join(', ') || 'none';
  throw new TopologyMismatchError(explained(queue, [another('binding', lacking.join(', '), bound)]));
}

/** What a consumer of somebody else's lacks for its messages to be handled here; undefined: nothing. */
export function unadoptable(
  queue: string,
  { ack_policy: acks, deliver_subject: pushed, max_deliver: most = -1, ack_wait: wait = 0 }: Partial<ConsumerConfig>,
  leaseMs: number,
): string | undefined {
  const told = [
    ...(acks === 'explicit' ? [] : [another('ack policy', 'explicit', acks ?? 'none')]),
    ...(pushed === undefined ? [] : [another('delivery', 'pull', `push to ${pushed}`)]),
    ...(most <= 0 ? [] : [another('max_deliver', '-1', String(most))]),
    ...(wait >= leaseMs * NANOS_PER_MS
      ? []
      : [another('ack_wait', `${leaseMs} ms or more`, `${wait / NANOS_PER_MS} ms`)]),
  ];
  if (told.length === 0) return undefined;
  return `The consumer of «${queue}» exists with ${told.join('; ')}, and with «adopt: true» it is used as it is. Change it with \`nats consumer edit\`, or make another; \`nats({ ackWait })\` of this connection can be shorter`;
}

/** Of a consumer that somebody else is to have made. */
export function missingText(queue: string): string {
  return `The queue «${queue}» does not exist, and with «adopt: true» it is somebody else's to make. Make it, or leave out «adopt»`;
}

function another(what: string, wanted: string, found: string): string {
  return `another ${what}: wanted «${wanted}», found «${found}»`;
}

function explained(queue: string, told: readonly string[]): string {
  return `The queue «${queue}» exists with ${told.join('; ')}. Give the subscription the same, or delete the consumer once the queue is empty`;
}

function describeTarget({ queue, route }: { readonly queue: string; readonly route: string }): string {
  return queue === route ? queue : `${queue} (by the route ${route})`;
}
