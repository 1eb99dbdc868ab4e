// Nest's own Kafka transport: ClientKafka.emit, which waits for the broker.
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { headersOf, keyOf } from '../../clients/kafka-message.mjs';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './kafka-options.mjs';

Logger.overrideLogger(['error', 'warn']);
const meter = new Meter();
let client;

serve(
  async (task) => {
    client ??= ClientProxyFactory.create({
      transport: Transport.KAFKA,
      options: { ...optionsOf(task), send: { acks: -1 }, producerOnlyMode: true },
    });
    await client.connect();
    const { exchange, route } = task;
    const publish = (number) => {
      const key = keyOf(number);
      const record = { key, value: bodyOf(number), headers: headersOf(route, key) };
      return lastValueFrom(client.emit(exchange, record), { defaultValue: undefined });
    };
    return publishInLanes(publish, meter, task);
  },
  async () => client?.close(),
);
