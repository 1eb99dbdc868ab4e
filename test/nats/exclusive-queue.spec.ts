import { afterEach, expect, test } from '@jest/globals';
import { MessagingModule } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { describeNatsNode } from '../brokers/nats.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { closePlain, managerOf } from './plain.js';

afterEach(async () => {
  await closeApplications();
  await closePlain();
});

describeNatsNode('A queue of one process on NATS', (server) => {
  test('is not deleted under a handler: it lasts for a lease at least, since renewing one is the only sign of life', async () => {
    const { url } = await server.start();
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport: nats({ servers: url, syncAlways: true }) })],
    });
    const expires = [1_000, 60_000];
    for (const one of expires)
      await messaging.subscribe({ route: `r.${one}`, exclusive: { expires: one } }, () => undefined);
    const lasting = new Map<string, number>();
    for await (const { config } of (await managerOf(url)).consumers.list('events'))
      if (config.inactive_threshold) lasting.set(config.description!, config.inactive_threshold / 1_000_000);
    const of = (route: string): number | undefined =>
      [...lasting].find(([description]) => description.includes(`"${route}"`))?.[1];
    expect(expires.map((one) => of(`r.${one}`))).toEqual([30_000, 60_000]);
  });
});
