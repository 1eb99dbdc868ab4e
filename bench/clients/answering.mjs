import { startProfile, stopProfile } from './profiler.mjs';
import { serve } from './serve.mjs';

/** What a responder answers: who asked can tell that it is meant. */
export const answerTo = ({ number }) => ({ number, price: 1299.9, open: true });

/** Loops that each await their own answer, and look at it. */
export const asking = (request, body) => async (number) => (await request(body(number))).price === 1299.9;

/** Serves a responder: it gets two tasks per round, and tells at the second what CPU time it took since the first. */
export function serveAnswers(start) {
  let app;
  let cpu;
  serve(
    async (task) => {
      app ??= await start(task);
      if (!cpu) {
        startProfile();
        cpu = process.cpuUsage();
        return {};
      }
      const { user, system } = process.cpuUsage(cpu);
      stopProfile();
      cpu = undefined;
      return { micros: user + system };
    },
    async () => app?.close(),
  );
}
