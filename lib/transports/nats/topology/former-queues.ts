import type { UnattendedQueue } from '../../kit/former-queues.js';
import type { Clock } from '../../../clock/clock.js';
import { isAttended, isUnattended } from './attendance.js';
import { recordOf } from './binding.js';
import { depthOf } from './depth.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';

/** By the descriptions of the consumers, which say who has declared them. */
export async function unattendedQueues(
  link: Link,
  names: Names,
  service: string,
  declared: ReadonlySet<string>,
  clock: Clock,
): Promise<readonly UnattendedQueue[]> {
  const found: UnattendedQueue[] = [];
  for await (const info of link.manager.consumers.list(names.stream)) {
    const record = recordOf(info.config);
    if (!record || record.service !== service || declared.has(record.queue)) continue;
    // A queue of a process that is gone: the server deletes it.
    if (info.config.inactive_threshold) continue;
    const bound = Object.keys(record.patterns).filter((pattern) => record.patterns[pattern] === 0);
    if (bound.length === 0 || isAttended(info)) continue;
    const messages = await depthOf(link, { record, info }, names);
    if (messages === 0 || !(await isUnattended(link, info, clock))) continue;
    const bindings = bound.map((pattern) => `«${pattern}» of «${record.topic}»`);
    const remedy = `To delete it with its messages: nats consumer rm '${names.stream}' '${info.name}'`;
    found.push({ queue: record.queue, messages, bindings, remedy });
  }
  return found;
}
