// Nest 11 of the parent's folder, with the package as it is built: what happened is told as JSON.
const { join } = require('node:path');
const { createRequire } = require('node:module');
const [folder, url] = process.argv.slice(2);
const from = createRequire(join(folder, 'package.json'));
from('reflect-metadata');
const { Controller, Module } = from('@nestjs/common');
const { NestFactory } = from('@nestjs/core');
const { Ctx, EventPattern, MessagePattern, Payload, RpcException } = from('@nestjs/microservices');
const { Messaging, MessagingModule } = from('nestjs-messaging');
const { rabbitmq } = from('nestjs-messaging/rabbitmq');
const { MessagingClient, MessagingStrategy, rmqMicroservice } = from('nestjs-messaging/compat/microservices');
const rxjs = from('rxjs');

const seen = [];
class Handlers {
  sum(numbers) {
    return numbers.reduce((total, one) => total + one, 0);
  }
  stream(numbers) {
    return rxjs.from(numbers);
  }
  fails() {
    throw new RpcException({ code: 'OUT_OF_STOCK' });
  }
  onEvent(data, context) {
    seen.push([data, context.getPattern(), context.constructor.name]);
    if (data === 'broken') throw new RangeError('broken');
    context.getChannelRef().ack(context.getMessage());
  }
}
function decorate(method, decorator) {
  decorator(Handlers.prototype, method, Object.getOwnPropertyDescriptor(Handlers.prototype, method));
  Payload()(Handlers.prototype, method, 0);
}
decorate('sum', MessagePattern({ cmd: 'sum' }));
decorate('stream', MessagePattern('math.stream'));
decorate('fails', MessagePattern('math.fails'));
decorate('onEvent', EventPattern('order.*'));
Ctx()(Handlers.prototype, 'onEvent', 1);
Controller()(Handlers);
class App {}
const transport = rabbitmq({ url });
const retry = { attempts: 2, backoff: 1 };
Module({ imports: [MessagingModule.forRoot({ service: 'nest11', transport, retry })], controllers: [Handlers] })(App);
class OneLine {}
Module({ controllers: [Handlers] })(OneLine);

async function main() {
  const useFactory = (messaging) => ({ strategy: new MessagingStrategy(messaging) });
  const app = await NestFactory.createMicroservice(App, { inject: [Messaging], useFactory, logger: false });
  await app.listen();
  const messaging = app.get(Messaging);
  const client = new MessagingClient({ messaging });
  const ask = (pattern, data) => rxjs.lastValueFrom(client.send(pattern, data).pipe(rxjs.toArray()));
  const dead = new Promise((resolve) =>
    messaging.events.on('dead-lettered', ({ reason, error }) => resolve([reason, error.name])),
  );
  const told = {
    sum: await ask({ cmd: 'sum' }, [1, 2]),
    stream: await ask('math.stream', [1, 2, 3]),
    fails: await ask('math.fails', {}).catch((error) => error),
    receipt: (await rxjs.lastValueFrom(client.emit('order.created', 'one'))).outcome,
  };
  await rxjs.lastValueFrom(client.emit('order.broken', 'broken'));
  told.dead = await dead;

  // The same handlers, by one line instead of the options of Nest's transport.
  const rmq = rmqMicroservice(
    { urls: [url], queue: 'one-line', noAck: false, prefetchCount: 5 },
    { service: 'one-line' },
  );
  const other = await NestFactory.createMicroservice(OneLine, { ...rmq, logger: false });
  await other.listen();
  const byQueue = new MessagingClient({ messaging, queue: 'one-line' });
  told.oneLine = await rxjs.firstValueFrom(byQueue.send({ cmd: 'sum' }, [4]));
  await other.close();
  told.closed = rmq.strategy.unwrap().health().connection.state;
  await app.close();
  return { ...told, seen };
}
main().then(
  (told) => process.send(told),
  (error) => process.send({ error: String(error.stack) }),
);
