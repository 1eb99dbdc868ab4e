// Nest's own RabbitMQ transport: ClientProxy.send, by direct reply-to.
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { asking } from '../../clients/answering.mjs';
import { publishInLanes } from '../../clients/lanes.mjs';
import { bodyOf } from '../../clients/message.mjs';
import { Meter } from '../../clients/meter.mjs';
import { serve } from '../../clients/serve.mjs';
import { askingOptionsOf } from './options.mjs';

Logger.overrideLogger(['error', 'warn']);
const meter = new Meter();
let client;

serve(
  async (task) => {
    client ??= ClientProxyFactory.create({ transport: Transport.RMQ, options: askingOptionsOf(task) });
    await client.connect();
    const request = (body) => firstValueFrom(client.send(task.asked, body));
    return publishInLanes(asking(request, bodyOf), meter, task, (is) => is);
  },
  async () => client?.close(),
);
