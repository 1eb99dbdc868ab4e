import { expect, test } from '@jest/globals';
import { describeNatsNode } from '../brokers/nats.js';
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
});
