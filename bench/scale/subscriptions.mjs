import { ClientProcess } from '../client-process.mjs';
import { markdown, number } from '../report.mjs';

/** None first: what the application takes without a subscription. */
const COUNTS = [0, 1, 10, 100, 1_000];

/** A thousand quorum queues with their dead-letter queues are a test of the broker's disk: classic ones. */
const QUEUE_TYPE = 'classic';

/** Many subscriptions in one application: how long it takes to start, and what each of them takes of memory. */
export async function measureSubscriptions({ packageDirectory, stage, place }) {
  const target = place(QUEUE_TYPE);
  const samples = [];
  try {
    for (const subscriptions of COUNTS) {
      // The queues of the smaller counts are there already; removed, so that every start declares its own.
      await stage.load.deleteQueues(queuesOf(target, subscriptions));
      const client = new ClientProcess(
        { title: `${subscriptions} subscriptions`, path: 'scale/clients/subscriptions.mjs' },
        { packageDirectory },
      );
      try {
        samples.push({ subscriptions, ...(await client.run({ ...target, subscriptions })) });
      } finally {
        await client.end();
      }
    }
  } finally {
    await stage.load.deleteQueues(queuesOf(target, Math.max(...COUNTS)));
  }
  return { samples, text: report(samples) };
}

function queuesOf({ service }, count) {
  return Array.from({ length: count }, (_, at) => `${service}:scale.${at}`).flatMap((name) => [
    `${name}:queue`,
    `${name}:dlq`,
  ]);
}

function report(samples) {
  const [{ heap: noHeap, rss: noRss, startMs: noStart }] = samples;
  const header = ['subscriptions', 'start ms', 'ms each', 'heap MB', 'heap kB each', 'RSS MB', 'RSS kB each'];
  // Of fewer it is noise.
  const each = (value, none, { subscriptions }) => (subscriptions >= 100 ? number((value - none) / subscriptions) : '');
  const lines = samples.map((sample) => [
    number(sample.subscriptions),
    number(sample.startMs),
    each(sample.startMs, noStart, sample),
    number(sample.heap / 1e6),
    each(sample.heap / 1e3, noHeap / 1e3, sample),
    number(sample.rss / 1e6),
    each(sample.rss / 1e3, noRss / 1e3, sample),
  ]);
  const title = `### Subscriptions in one application, ${QUEUE_TYPE} queues declared at the start, each with its dead-letter queue`;
  return `${title}\n\n${markdown(header, lines)}`;
}
