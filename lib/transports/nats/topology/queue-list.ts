import type { ConsumerInfo } from '@nats-io/jetstream';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import type { ListedQueue, QueueList, QueueScope } from '../../../transport/queue-list.js';
import { Limited } from '../../kit/limited.js';
import { recordOf } from './binding.js';
import { apiCode, codeOf } from '../connection/broker-errors.js';
import { depthOf } from './depth.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';
import type { Queue } from './queues.js';

/** So many queues are counted at a time. */
const AT_A_TIME = 8;

/** Every consumer of the stream that an application has made says what it is. @throws TopologyMismatchError */
export async function listQueues(link: Link, scope: QueueScope, names: Names): Promise<QueueList | undefined> {
  const { service, queues: wanted = [] } = scope;
  const all = await everyQueue(link, names);
  const isOfService = (name: string): boolean =>
    service === undefined ? wanted.length === 0 : name.startsWith(`${service}:`);
  const chosen = new Set([...all.keys()].filter(isOfService));
  if (service !== undefined && chosen.size === 0 && wanted.length === 0) return undefined;
  for (const name of [...chosen, ...wanted]) {
    const { deadLetter } = all.get(name)?.record ?? {};
    chosen.add(name);
    if (deadLetter) chosen.add(deadLetter.queue);
  }
  const limited = new Limited(AT_A_TIME);
  const found = [...chosen].sort().flatMap((name) => all.get(name) ?? []);
  return {
    queues: await Promise.all(found.map((queue) => limited.run(() => listed(link, queue, names)))),
    missing: [...chosen].filter((name) => !all.has(name)).sort(),
    waiting: await waitingIn(link, names),
  };
}

async function everyQueue(link: Link, { stream }: Names): Promise<Map<string, Queue>> {
  const all = new Map<string, Queue>();
  try {
    for await (const info of link.manager.consumers.list(stream)) {
      const record = recordOf(info.config);
      if (record) all.set(record.queue, { record, info });
    }
  } catch (error) {
    if (codeOf(error) !== apiCode.streamNotFound) throw error;
    throw new TopologyMismatchError(
      `There is no stream «${stream}» on this server: is that of the applications another?`,
    );
  }
  return all;
}

async function listed(link: Link, queue: Queue, names: Names): Promise<ListedQueue> {
  const { record, info } = queue;
  const { queue: name, patterns, deadLetter } = record;
  const consumers = consumersOf(info);
  return {
    name,
    ready: await depthOf(link, queue, names),
    inFlight: info.num_ack_pending,
    ...(consumers !== undefined && { consumers }),
    routes: Object.keys(patterns).filter((pattern) => patterns[pattern] === 0),
    ...(deadLetter && { deadLetterQueue: deadLetter.queue }),
  };
}

/** Somebody asks for messages. Where some are not settled their process may be busy with as many as it takes, or gone. */
function consumersOf({ num_waiting: asking, num_ack_pending: unsettled }: ConsumerInfo): ListedQueue['consumers'] {
  if (asking > 0) return 'some';
  return unsettled > 0 ? undefined : 0;
}

async function waitingIn(link: Link, { delayed }: Names): Promise<QueueList['waiting']> {
  try {
    const { state } = await link.manager.streams.info(delayed);
    return [{ name: delayed, ready: state.messages }];
  } catch (error) {
    if (codeOf(error) === apiCode.streamNotFound) return [];
    throw error;
  }
}
