// The other side, with its own Nest: a server and clients of Nest's RabbitMQ transport, asked for by messages of the parent.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, url] = process.argv.slice(2);
const { resolve } = createRequire(join(folder, 'package.json'));
// Nest 11 is CommonJS, Nest 12 has ES modules only.
const load = (name) => import(pathToFileURL(resolve(name)).href).then((loaded) => ({ ...loaded.default, ...loaded }));
await load('reflect-metadata');
const { Controller, Module } = await load('@nestjs/common');
const { NestFactory } = await load('@nestjs/core');
const { ClientProxyFactory, EventPattern, MessagePattern, Payload, RmqRecordBuilder, RpcException, Transport } =
  await load('@nestjs/microservices');
const { from, lastValueFrom, toArray } = await load('rxjs');

class Handlers {
  sum(numbers) {
    return numbers.reduce((total, one) => total + one, 0);
  }
  stream(numbers) {
    return from(numbers);
  }
  fails(how) {
    if (how === 'object') throw new RpcException({ code: 'OUT_OF_STOCK' });
    throw new Error('secret');
  }
  event(data) {
    process.send({ event: data });
  }
}
function decorate(method, decorator) {
  const descriptor = Object.getOwnPropertyDescriptor(Handlers.prototype, method);
  decorator(Handlers.prototype, method, descriptor);
  Payload()(Handlers.prototype, method, 0);
}
decorate('sum', MessagePattern({ service: 'nest', cmd: 'sum' }));
decorate('stream', MessagePattern('nest.stream'));
decorate('fails', MessagePattern('nest.fails'));
decorate('event', EventPattern('nest.event'));
Controller()(Handlers);
class Peer {}
Module({ controllers: [Handlers] })(Peer);

const byQueue = { urls: [url], queueOptions: { durable: true } };
const wildcards = { urls: [url], exchange: 'events', exchangeType: 'topic', wildcards: true };
for (const options of [
  { ...byQueue, queue: 'nest-queue', noAck: false },
  { ...wildcards, queue: 'nest-wildcards' },
]) {
  const app = await NestFactory.createMicroservice(Peer, { transport: Transport.RMQ, options, logger: ['error'] });
  await app.listen();
}
const clients = {
  queue: ClientProxyFactory.create({ transport: Transport.RMQ, options: { ...byQueue, queue: 'ours' } }),
  wildcards: ClientProxyFactory.create({ transport: Transport.RMQ, options: { ...wildcards, queue: 'none' } }),
};
for (const client of Object.values(clients)) await client.connect();

process.on('message', ({ number, by, kind, pattern, data, options }) => {
  const record = options ? new RmqRecordBuilder(data).setOptions(options).build() : data;
  lastValueFrom(clients[by][kind](pattern, record).pipe(toArray())).then(
    (values) => process.send({ number, values }),
    (error) => process.send({ number, error: error instanceof Error ? { message: error.message } : error }),
  );
});
process.on('disconnect', () => process.exit());
process.send('ready');
