/**
 * Calls `callback` on the next turn of the event loop, after pending I/O had its chance. It involves no time: work that
 * never ends by itself calls this now and then so that it does not keep everything else waiting.
 */
export function nextTurn(callback: () => void): void {
  setImmediate(callback);
}

/** The same as a promise, for a loop that would otherwise never let go. */
export function turned(): Promise<void> {
  return new Promise(nextTurn);
}
