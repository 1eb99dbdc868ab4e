const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Calls `stop` at the first signal. At the second the process ends at once, by that signal: what is on the disk stays
 * there. Returns what takes the listeners away.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let stopping = false;
  const release = (): void => {
    for (const signal of SIGNALS) process.removeListener(signal, listener);
  };
  const listener = (signal: NodeJS.Signals): void => {
    if (!stopping) {
      stopping = true;
      stop(signal);
      return;
    }
    release();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return release;
}
