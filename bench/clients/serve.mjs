/** Answers every task that the parent process sends with its figures; ends with the parent. */
export function serve(run, close = async () => {}) {
  process.on('message', (task) => {
    const ready = () => {
      globalThis.gc();
      process.send({ ready: true });
    };
    run(task, ready).then(
      (result) => process.send({ result }),
      (error) => process.send({ error: error.stack }),
    );
  });
  process.on('disconnect', () => void close().finally(() => process.exit()));
}
