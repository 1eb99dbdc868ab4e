import { expect, test } from '@jest/globals';
import { POISON } from 'nestjs-messaging/testing';
import { describeNatsNode } from '../brokers/nats.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { TestClient, TestService } from './support/service.js';

/** Longer than the server takes in the line that begins a publish; in a header it was taken. */
const LONG_SUBJECT = `long.${'x'.repeat(400)}`;

describeNatsNode('a message over which the server closes the connection of the requeue service', (nodes) => {
  test('becomes a dead letter; what was under way with it is delivered, and what comes after it', async () => {
    const { url } = await nodes.start({ conf: ['max_control_line: 256'] });
    const service = await TestService.start({ servers: url });
    const client = await TestClient.connect(url);
    const seen = await client.subscribe('short');
    // All of them are there before the first is sent.
    const due = { delay: 3_000 };
    for (let n = 0; n < 20; n++) {
      const options = n === 7 ? { ...due, subject: LONG_SUBJECT } : { ...due, id: `m${n}` };
      expect((await client.send('requeue.short', String(n), options)).headers).toBeUndefined();
    }
    await waitFor(() => service.server.stats().deadLetters === 1, 'the dead letter');
    // It may be connecting again.
    const taken = (): Promise<boolean> =>
      client.send('requeue.short', 'later', { id: 'later' }).then(
        () => true,
        () => false,
      );
    await waitFor(taken, 'the service to listen again');
    await waitFor(() => service.server.stats().depth === 0, 'an empty store');
    const ids = new Set(seen.all.map(({ id }) => id));
    expect(ids.size).toBe(20);
    expect(ids).toContain('later');
    // Once together and twice alone, and perhaps again where the server's words were lost.
    const ended = service.connectionErrors.filter(({ message }) => message.includes('is lost'));
    expect(ended.length).toBeGreaterThanOrEqual(3);
    expect(ended.length).toBeLessThan(10);
    expect(service.queue()).toMatchObject({ depth: 0, deadLetters: 1 });
  });

  test('becomes a dead letter also where the server says nothing', async () => {
    const { url } = await nodes.start();
    const proxy = await Proxy.start(url);
    try {
      const service = await TestService.start({ servers: proxy.url(url) });
      const client = await TestClient.connect(url);
      const seen = await client.subscribe('short');
      proxy.endOver(Buffer.from(POISON), Buffer.alloc(0));
      for (const [n, text] of ['one', POISON, 'two'].entries())
        await client.send('requeue.short', text, { delay: 1_000, id: `m${n}` });
      await waitFor(() => service.server.stats().deadLetters === 1, 'the dead letter');
      await waitFor(() => service.server.stats().depth === 0, 'an empty store');
      expect(new Set(seen.all.map(({ id }) => id))).toEqual(new Set(['m0', 'm2']));
    } finally {
      await proxy.close();
    }
  });
});
