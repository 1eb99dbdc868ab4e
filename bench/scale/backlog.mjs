import { ClientProcess } from '../client-process.mjs';
import { markdown, number } from '../report.mjs';

const IN_FLIGHT = 1_000;
const PREFETCH = 100;

/** One process publishes the whole backlog, another drains it: does either grow? */
export async function measureBacklog({ settings, packageDirectory, stage, place }) {
  const target = place(settings.queue);
  const { messages } = settings;
  await stage.empty(target);
  const play = async (path, changes) => {
    const client = new ClientProcess({ title: path, path: `scale/clients/${path}.mjs` }, { packageDirectory });
    try {
      return await client.run({ ...target, messages, ...changes });
    } finally {
      await client.end();
    }
  };
  try {
    const published = await play('publish-backlog', { inFlight: IN_FLIGHT });
    const drained = await play('drain-backlog', { prefetch: PREFETCH });
    const text = [
      report(`published with ${number(IN_FLIGHT)} in flight`, published, settings),
      report(`handled and acked, prefetch ${PREFETCH}`, drained, settings),
    ].join('\n\n');
    return { samples: { published, drained }, text };
  } finally {
    await stage.empty(target);
  }
}

function report(what, samples, { messages, queue }) {
  const header = ['messages', 'messages/s since the line before', 'heap MB after gc', 'RSS MB'];
  const lines = samples.map(({ done, at, heap, rss }, index) => {
    const before = samples[index - 1];
    const perSecond = before ? ((done - before.done) / (at - before.at)) * 1_000 : undefined;
    return [number(done), perSecond ? number(perSecond) : '', number(heap / 1e6), number(rss / 1e6)];
  });
  return `### ${number(messages)} messages ${what}, ${queue} queue\n\n${markdown(header, lines)}`;
}
