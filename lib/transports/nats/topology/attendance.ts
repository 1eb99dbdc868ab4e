import type { ConsumerInfo } from '@nats-io/jetstream';
import type { Clock } from '../../../clock/clock.js';
import { sleep } from '../../../clock/sleep.js';
import type { Link } from '../connection/link.js';

const LOOKS = 3;
const PAUSE_MS = 200;

/** Whether a process asks for messages of the queue, or has some. */
export function isAttended({ num_waiting: asking, num_ack_pending: unsettled }: ConsumerInfo): boolean {
  return asking > 0 || unsettled > 0;
}

/** That nobody does, at several looks: between two of its requests a process that consumes is not seen. */
export async function isUnattended(link: Link, found: ConsumerInfo, clock: Clock): Promise<boolean> {
  let info = found;
  for (let look = 1; look < LOOKS && !isAttended(info); look++) {
    await sleep(clock, PAUSE_MS);
    info = await link.manager.consumers.info(found.stream_name, found.name);
  }
  return !isAttended(info);
}
