import { setImmediate as turn } from 'node:timers/promises';

/** Publishes for `durationMs`, each message in a turn of the event loop of its own, as requests come in; at most `inFlight` under way. */
export async function publishInTurns(publish, meter, { inFlight, durationMs }, isDone = () => true) {
  meter.start();
  const deadline = performance.now() + durationMs;
  const underWay = new Set();
  const one = async (number) => {
    const began = performance.now();
    if (!isDone(await publish(number))) throw new Error('The broker did not take a message');
    meter.add(performance.now() - began);
  };
  for (let number = 0; performance.now() < deadline; await turn()) {
    if (underWay.size === inFlight) continue;
    const publishing = one(number++).finally(() => underWay.delete(publishing));
    underWay.add(publishing);
  }
  await Promise.all(underWay);
  return meter.stop();
}

/** Publishes for `durationMs` with `inFlight` messages under way: so many loops that each await their own publish. */
export async function publishInLanes(publish, meter, { inFlight, durationMs }, isDone = () => true) {
  meter.start();
  const deadline = performance.now() + durationMs;
  let number = 0;
  const lane = async () => {
    for (let now = performance.now(); now < deadline;) {
      if (!isDone(await publish(number++))) throw new Error('The broker did not take a message');
      const then = now;
      meter.add((now = performance.now()) - then);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return meter.stop();
}
