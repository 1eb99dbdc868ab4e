import { startBroker } from './broker.mjs';
import { InstantBroker } from './instant-broker.mjs';
import { Load } from './load.mjs';
import { declare, placeOf, remove } from './place.mjs';
import { queueTypes } from './rows.mjs';
import { InstantStage, RabbitStage } from './stages.mjs';

/** Runs `work` with the brokers that are wanted, as stages by their names, and ends them. */
export async function withBrokers(wanted, context, work) {
  const exchange = `bench-${process.pid}`;
  const place = (queueType, url) => placeOf(queueType, { url, exchange });
  const measure = (stages, version) => work({ stages, placeOf: place, version });
  const withInstant = (stages, version) =>
    wanted.has('instant') ? instantly((instant) => measure({ ...stages, instant }, version)) : measure(stages, version);
  if (!wanted.has('rabbitmq')) return withInstant({}, wanted.has('instant') ? 'instant broker' : 'embedded broker');
  await onRabbit(context, place, (rabbitmq, version) => withInstant({ rabbitmq }, version));
}

async function instantly(work) {
  const broker = await InstantBroker.start();
  try {
    await work(new InstantStage(broker));
  } finally {
    await broker.stop();
  }
}

async function onRabbit({ settings, packageDirectory, directory }, place, work) {
  console.error('Starting RabbitMQ …');
  const broker = await startBroker(settings.rabbitmq, directory);
  try {
    const load = await Load.connect(broker.url);
    const places = queueTypes.map((queueType) => place(queueType, broker.url));
    try {
      await declare(places, packageDirectory);
      await work(new RabbitStage(load, broker.url, settings.settleMs), load.broker);
    } finally {
      await remove(places, load);
      await load.close();
    }
  } finally {
    await broker.stop();
  }
}
