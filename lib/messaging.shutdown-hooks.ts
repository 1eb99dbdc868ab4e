import { isMainThread } from 'node:worker_threads';
import type { CancelTimer, Clock } from './clock/clock.js';
import type { Log } from './events/log.js';

/** Applications call `enableShutdownHooks` before they listen, or right after. */
const LOOK_AFTER_MS = 3_000;

/**
 * Tells once, a moment after the start, when nothing listens for SIGTERM or SIGINT: such a process is ended in the middle of
 * its handlers. Who listens by himself, and closes the application then, is not told; nor is a worker thread.
 */
export function watchShutdownHooks(
  clock: Clock,
  log: Log,
  process: Pick<NodeJS.Process, 'listenerCount'>,
): CancelTimer {
  return clock.after(
    LOOK_AFTER_MS,
    () => {
      if (!isMainThread || process.listenerCount('SIGTERM') + process.listenerCount('SIGINT') > 0) return;
      log.warn(
        'Nothing listens for SIGTERM: call app.enableShutdownHooks(), or this process ends without finishing its handlers and without sending what it holds',
      );
    },
    { background: true },
  );
}
