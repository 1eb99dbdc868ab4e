import type { ConsumerConfig } from '@nats-io/jetstream';
import { privateSubjects } from './binding.js';
import type { Link } from '../connection/link.js';
import { tokenOf, type Names } from '../names.js';
import { filtersOf, overlap, union } from './patterns.js';
import type { Queue } from './queues.js';

/** A counting consumer that could not be deleted deletes itself. */
const COUNTING_NANOS = 5_000_000_000;

/**
 * Messages of a queue that were not delivered yet. Where the queue's own consumer has wider filters than the queue, a
 * consumer for each subject is made for a moment, only to be told how much it would get. Patterns with a `#` that
 * is not the last word are counted by the wider subject.
 */
export async function depthOf(link: Link, { record, info }: Queue, names: Names): Promise<number> {
  const topic = tokenOf(record.topic);
  const routed = Object.keys(record.patterns).flatMap((pattern) => filtersOf(topic, pattern));
  const wanted = union([...routed, ...privateSubjects(record, names)], overlap);
  const { filter_subject: one, filter_subjects: many = one ? [one] : [] } = info.config;
  if ([...many].sort().join(' ') === wanted.join(' ')) return info.num_pending;
  const from = info.delivered.stream_seq + 1;
  const counts = await Promise.all(wanted.map((filter) => count(link, names.stream, filter, from)));
  return counts.reduce((sum, pending) => sum + pending, 0);
}

async function count(link: Link, stream: string, filter: string, from: number): Promise<number> {
  const config = {
    ack_policy: 'none',
    deliver_policy: 'by_start_sequence',
    opt_start_seq: from,
    filter_subject: filter,
    inactive_threshold: COUNTING_NANOS,
    mem_storage: true,
  };
  const { name, num_pending: pending } = await link.manager.consumers.add(stream, config as unknown as ConsumerConfig);
  await link.manager.consumers.delete(stream, name);
  return pending;
}
