import { ClientProcess } from './client-process.mjs';
import { sides } from './sides.mjs';

const ROUTE = 'bench.event';

/** Where the messages of a queue type go: both sides use the same exchange, route and queue. */
export function placeOf(queueType, { url, exchange }) {
  const service = `${exchange}-${queueType}`;
  const queue = `${service}:${ROUTE}:queue`;
  // As the package calls the consumer of a queue on NATS.
  return { url, exchange, queueType, service, route: ROUTE, queue, consumer: queue.replaceAll('.', '=2E') };
}

/** The package itself declares it all, by subscribing once. */
export async function declare(places, packageDirectory) {
  const client = new ClientProcess({ title: 'declaring', path: sides.ours.consume }, { packageDirectory });
  for (const place of places) await client.run({ ...place, prefetch: 1, count: 0 });
  await client.end();
}

export async function remove(places, load) {
  const queues = places.flatMap(({ queue }) => [queue, queue.replace(/queue$/, 'dlq')]);
  await load.remove(places[0].exchange, queues);
}
