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
