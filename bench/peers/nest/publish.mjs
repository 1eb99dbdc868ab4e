// Nest's own RabbitMQ transport: ClientProxy.emit, which waits for the confirm of its channel.
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { ClientProxyFactory, RmqRecordBuilder, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf, propertiesOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { optionsOf } from './options.mjs';

Logger.overrideLogger(['error', 'warn']);
const meter = new Meter();
let client;

serve(
  async (task) => {
    client ??= ClientProxyFactory.create({ transport: Transport.RMQ, options: optionsOf(task) });
    await client.connect();
    const { route } = task;
    const publish = (number) => {
      const record = new RmqRecordBuilder(bodyOf(number)).setOptions(propertiesOf(route)).build();
      return lastValueFrom(client.emit(route, record), { defaultValue: undefined });
    };
    return publishInLanes(publish, meter, task);
  },
  async () => client?.close(),
);
