// The other side, with its own Nest: golevelup's RabbitMQ module and Nest's microservices, asked for by messages of the parent.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [folder, url, exchange] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
require('reflect-metadata');
const { Controller, Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { ClientProxyFactory, MessagePattern, RpcException, Transport } = require('@nestjs/microservices');
const { AmqpConnection, RabbitMQModule, RabbitRPC } = require('@golevelup/nestjs-rabbitmq');
const { firstValueFrom, of } = require('rxjs');

class Quotes {
  golevelup({ item }) {
    if (item === 'broken') throw new Error('secret');
    return { price: item.length };
  }
  nest({ item }) {
    if (item === 'sold-out') throw new RpcException({ code: 'OUT_OF_STOCK', message: 'There is none' });
    if (item === 'text') throw new RpcException('There is none');
    if (item === 'object') throw new RpcException({ why: 'There is none' });
    if (item === 'several') return of({ price: 1 }, { price: 2 });
    if (item === 'broken') throw new Error('secret');
    return { price: item.length };
  }
}
function decorate(method, decorator) {
  decorator(Quotes.prototype, method, Object.getOwnPropertyDescriptor(Quotes.prototype, method));
}
decorate('golevelup', RabbitRPC({ exchange, routingKey: 'golevelup.quote', queue: 'golevelup' }));
decorate('nest', MessagePattern('nest.quote'));
Controller()(Quotes);
class Peer {}
const rabbit = RabbitMQModule.forRoot({
  uri: url,
  exchanges: [{ name: exchange, type: 'topic' }],
  connectionInitOptions: { wait: true },
  enableControllerDiscovery: true,
});
Module({ imports: [rabbit], controllers: [Quotes] })(Peer);

const common = { urls: [url], exchange, exchangeType: 'topic', wildcards: true };
const options = { ...common, queue: 'nest', queueOptions: { durable: true }, noAck: false };
const app = await NestFactory.createMicroservice(Peer, { transport: Transport.RMQ, options, logger: ['error'] });
await app.listen();
const client = ClientProxyFactory.create({ transport: Transport.RMQ, options: { ...common, queue: 'nest-client' } });
await client.connect();

const ask = {
  golevelup: (routingKey, payload) =>
    app.get(AmqpConnection).request({ exchange, routingKey, payload, timeout: 30_000 }),
  nest: (pattern, data) => firstValueFrom(client.send(pattern, data)),
};
process.on('message', ({ number, by, route, body }) =>
  ask[by](route, body).then(
    (answer) => process.send({ number, answer }),
    (error) => process.send({ number, error: error instanceof Error ? { message: error.message } : error }),
  ),
);
process.on('disconnect', () => process.exit());
process.send('ready');
