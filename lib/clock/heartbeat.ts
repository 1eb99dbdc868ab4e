import { answered } from './answered.js';
import type { CancelTimer, Clock } from './clock.js';

/**
 * Asks `ms` after each answer, in the background. It ends with the first error, or answer that takes longer than that, which
 * `failed` is told; or where what it gives is called.
 */
export function heartbeat(
  clock: Clock,
  ms: number,
  ask: () => Promise<unknown>,
  failed: (error: unknown) => void,
): CancelTimer {
  let isOver = false;
  let cancel: CancelTimer = () => {};
  const beat = (): void => {
    if (isOver) return;
    cancel = clock.after(ms, () => void answered(ask(), { clock, ms }).then(beat, (error) => isOver || failed(error)), {
      background: true,
    });
  };
  beat();
  return () => {
    isOver = true;
    cancel();
  };
}
