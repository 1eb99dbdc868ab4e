// The system that is moved from, with its own Nest 11: golevelup's RabbitMQ module, and a server and clients of Nest's
// microservices. It publishes what the parent asks for, and tells it what its handlers got.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, url, exchange] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
require('reflect-metadata');
const { Controller, Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { ClientProxyFactory, EventPattern, MessagePattern, Payload, Transport } = require('@nestjs/microservices');
const { AmqpConnection, RabbitMQModule, RabbitRPC, RabbitSubscribe } = require('@golevelup/nestjs-rabbitmq');
const { lastValueFrom } = require('rxjs');

class Handlers {
  plain(payload, message) {
    process.send({ seen: 'golevelup', payload, headers: message.properties.headers });
  }
  quote({ item }) {
    if (item === 'broken') throw new Error('secret');
    return { price: item.length };
  }
  event(payload) {
    process.send({ seen: 'nest', payload });
  }
  asked({ item }) {
    return { price: item.length };
  }
}
function decorate(method, decorator, ...parameters) {
  decorator(Handlers.prototype, method, Object.getOwnPropertyDescriptor(Handlers.prototype, method));
  parameters.forEach((parameter, at) => parameter(Handlers.prototype, method, at));
}
decorate('plain', RabbitSubscribe({ exchange, routingKey: 'golevelup.event', queue: 'golevelup-events' }));
decorate('quote', RabbitRPC({ exchange, routingKey: 'golevelup.quote', queue: 'golevelup-quotes' }));
decorate('event', EventPattern('nest.event'), Payload());
decorate('asked', MessagePattern('nest.quote'), Payload());
Controller()(Handlers);
class Peer {}
const rabbit = RabbitMQModule.forRoot({
  uri: url,
  exchanges: [{ name: exchange, type: 'topic' }],
  connectionInitOptions: { wait: true },
  enableControllerDiscovery: true,
});
Module({ imports: [rabbit], controllers: [Handlers] })(Peer);

const topic = { urls: [url], exchange, exchangeType: 'topic', wildcards: true };
const options = { ...topic, queue: 'nest-events', queueOptions: { durable: true }, noAck: false };
const app = await NestFactory.createMicroservice(Peer, { transport: Transport.RMQ, options, logger: ['error'] });
await app.listen();
const clientOf = (more) => ClientProxyFactory.create({ transport: Transport.RMQ, options: more });
const clients = {
  route: clientOf({ ...topic, queue: 'none' }),
  queue: clientOf({ urls: [url], queue: 'legacy', queueOptions: { durable: true } }),
};
for (const client of Object.values(clients)) await client.connect();

const golevelup = app.get(AmqpConnection);
const acts = {
  publish: ({ route, body }) => golevelup.publish(exchange, route, body),
  emit: ({ by, pattern, body }) => lastValueFrom(clients[by].emit(pattern, body), { defaultValue: undefined }),
  // Who answers is not what is looked at here.
  send: ({ by, pattern, body }) => void clients[by].send(pattern, body).subscribe({ error: () => {} }),
};
process.on('message', async ({ act, ...told }) => {
  await acts[act](told);
  process.send({ done: act });
});
process.on('disconnect', () => process.exit());
process.send('ready');
