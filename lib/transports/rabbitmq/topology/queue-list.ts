import type { ChannelModel } from 'amqplib';
import type { ListedQueue, QueueList, QueueScope } from '../../../transport/queue-list.js';
import { partitionQueue } from '../../../transport/topology.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { Limited } from '../../kit/limited.js';
import { withChannel } from '../connection/amqplib.js';
import { reply, replyCode } from '../connection/broker-errors.js';
import type { BindingRecord, DeclaredRecord } from '../queues/declared-record.js';
import { delayQueues } from './delay-topology.js';
import type { Names } from '../names.js';

/** So many queues are asked for at a time, each on a channel of its own: one that hangs takes no other along. */
const AT_A_TIME = 8;

type QueueCounts = Pick<ListedQueue, 'ready' | 'consumers'>;

/**
 * AMQP lists no queues: what a service has is what its processes have written down. Messages that are delivered and not
 * settled cannot be asked for either.
 */
export async function listQueues(
  model: ChannelModel,
  bound: AnswerTimeout,
  { service, queues = [] }: QueueScope,
  names: Names,
  recordOf: (service: string) => DeclaredRecord,
): Promise<QueueList | undefined> {
  const own = service === undefined ? undefined : await read(recordOf(service));
  if (!own && queues.length === 0) return undefined;
  const limited = new Limited(AT_A_TIME);
  const ask = (name: string): Promise<QueueCounts | undefined> => limited.run(() => countsOf(model, bound, name));
  const bindings = new Map([...(await named(queues, recordOf)), ...(own ?? [])]);
  const found = new Map<string, ListedQueue>();
  const missing = new Set<string>();
  const look = async (name: string): Promise<void> => {
    const counts = await ask(name);
    if (!counts) return void missing.add(name);
    const valid = (bindings.get(name) ?? []).filter(({ unbound }) => !unbound);
    const routes = valid.flatMap(({ queue, key }) => (queue === name ? [key] : []));
    const deadLetterQueue = valid.filter(({ queue }) => queue !== name).at(-1)?.queue;
    found.set(name, { name, ...counts, routes, ...(deadLetterQueue !== undefined && { deadLetterQueue }) });
    if (deadLetterQueue !== undefined && !found.has(deadLetterQueue)) await look(deadLetterQueue);
    // Partitions are on no record: they follow each other.
    for (let partition = 0; routes.length > 0; partition++) {
      const part = partitionQueue(name, partition);
      const those = await ask(part);
      if (!those) break;
      found.set(part, { name: part, ...those, routes: [] });
    }
  };
  const waiting = delayQueues(names).map(async (name) => ({ name, counts: await ask(name) }));
  await Promise.all([...new Set([...queues, ...(own?.keys() ?? [])])].map(look));
  return {
    queues: [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1)),
    missing: [...missing].sort(),
    waiting: (await Promise.all(waiting)).flatMap(({ name, counts }) =>
      counts ? [{ name, ready: counts.ready }] : [],
    ),
  };
}

/** What the services that these names begin with have written down, where that can be read. */
async function named(queues: readonly string[], recordOf: (service: string) => DeclaredRecord): Promise<BindingRecord> {
  const services = new Set(queues.flatMap((name) => (name.includes(':') ? [name.split(':')[0]] : [])));
  const all = await Promise.all([...services].map((one) => read(recordOf(one)).catch(() => undefined)));
  return new Map(all.flatMap((bindings) => [...(bindings ?? [])]));
}

async function read(record: DeclaredRecord): Promise<BindingRecord | undefined> {
  let found: BindingRecord | undefined;
  await record.change(false, async (bindings) => {
    found = bindings;
    return undefined;
  });
  return found;
}

/** Undefined for a queue that does not exist. Of one that does not answer nothing is known. */
async function countsOf(model: ChannelModel, bound: AnswerTimeout, queue: string): Promise<QueueCounts | undefined> {
  try {
    const { messageCount, consumerCount } = await withChannel(model, bound, (channel) => channel.checkQueue(queue));
    return { ready: messageCount, consumers: consumerCount };
  } catch (error) {
    // amqplib writes no name that is too long to be one.
    if (replyCode(error) === reply.notFound || error instanceof TypeError) return undefined;
    if (replyCode(error) !== undefined) throw error;
    return {};
  }
}
