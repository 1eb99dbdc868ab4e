import { startBroker, startKafka, startNats } from './broker.mjs';
import { InstantBroker } from './instant-broker.mjs';
import { KafkaLoad } from './kafka-load.mjs';
import { Load } from './load.mjs';
import { NatsLoad } from './nats-load.mjs';
import { declare, placeOf, remove } from './place.mjs';
import { queueTypes } from './rows.mjs';
import { InstantStage, KafkaStage, NatsStage, RabbitStage } from './stages.mjs';

/** Runs `work` with the brokers that are wanted, as stages by their names, and ends them. */
export async function withBrokers(wanted, context, work) {
  const exchange = `bench-${process.pid}`;
  const place = (queueType, url) => placeOf(queueType, { url, exchange });
  const hosts = Object.entries({ rabbitmq: onRabbit, nats: onNats, kafka: onKafka, instant: instantly });
  const waiting = hosts.filter(([name]) => wanted.has(name));
  const next = (stages, versions) => {
    const host = waiting.shift();
    if (!host) return work({ stages, placeOf: place, version: versions.join(', ') || 'embedded broker' });
    const [name, start] = host;
    return start(context, place, (stage, version) => next({ ...stages, [name]: stage }, [...versions, version]));
  };
  await next({}, []);
}

async function instantly(context, place, work) {
  const broker = await InstantBroker.start();
  try {
    await work(new InstantStage(broker), 'instant broker');
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

async function onNats({ settings, packageDirectory, directory }, place, work) {
  const server = await startNats(settings.nats, directory);
  try {
    const load = await NatsLoad.connect(server.url);
    const here = place('nats', server.url);
    try {
      await declare([here], packageDirectory);
      await work(new NatsStage(load, server.url, settings.settleMs), load.broker);
    } finally {
      await load.remove(here);
      await load.close();
    }
  } finally {
    await server.stop();
  }
}

async function onKafka({ settings, packageDirectory, directory }, place, work) {
  const { url, version, stop } = await startKafka(directory);
  try {
    const load = await KafkaLoad.connect(url);
    try {
      await declare([place('kafka', url)], packageDirectory);
      await work(new KafkaStage(load, url, settings.settleMs), `Kafka ${version}`);
    } finally {
      await load.close();
    }
  } finally {
    await stop();
  }
}
