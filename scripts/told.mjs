/** Runs what takes a while, and says so: at its begin, every few seconds, at its end. */
export async function told(what, work) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1_000).toFixed(0)} s`;
  console.log(`${what} …`);
  const timer = setInterval(() => console.log(`  … ${seconds()}`), 3_000);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  console.log(`${what}: done in ${seconds()}`);
}
