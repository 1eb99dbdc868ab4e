/** Answers every task that the parent process sends with its figures; ends with the parent. */
export function serve(run, close = async () => {}) {
  process.on('message', (task) => {
    run(task, () => process.send({ ready: true })).then(
      (result) => process.send({ result }),
      (error) => process.send({ error: error.stack }),
    );
  });
  process.on('disconnect', () => void close().finally(() => process.exit()));
}
