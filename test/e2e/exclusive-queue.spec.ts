import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DeadLetters,
  fixed,
  type MessageContext,
  MessagingModule,
  Publisher,
  Subscribe,
  type SubscriptionOptions,
  type TransportFactory,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

interface Process extends Application {
  readonly calls: Seen<{ readonly id: string; readonly attempt: number; readonly queue: string }>;
}

/** One process of the service, whose handler fails as long as `fails` says so. */
async function start(
  transport: TransportFactory,
  fails: (attempt: number) => boolean = () => false,
  options: SubscriptionOptions = { exclusive: true },
): Promise<Process> {
  const calls: Process['calls'] = new Seen();
  @Injectable()
  class Cache {
    @Subscribe('price.changed', { retry: { attempts: 2, backoff: fixed(50) }, ...options })
    clear(_: unknown, { id, attempt, queue }: MessageContext): void {
      calls.add({ id, attempt, queue });
      if (fails(attempt)) throw new Error('not cleared');
    }
  }
  const application = await boot({
    imports: [MessagingModule.forRoot({ service: 'shop', transport })],
    providers: [Cache],
  });
  await waitFor(() => application.messaging.health().consumers[0]?.state === 'consuming', 'the consumer');
  return { ...application, calls };
}

describeAllBrokers('A queue of each process', (fresh) => {
  test('gets every message, retries it there, and says at boot that it is one', async () => {
    const transport = await fresh();
    const [one, other] = [await start(transport(), (attempt) => attempt === 1), await start(transport())];
    await one.get(Publisher).publish('price.changed', {}, { id: 'p' });
    await one.calls.until(2);
    await other.calls.until(1);
    expect(one.calls.all.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(other.calls.all.map(({ attempt }) => attempt)).toEqual([1]);
    const [{ queue }] = one.calls.all;
    expect(queue).toMatch(/^shop:price\.changed:.+-[0-9a-f]{8}:queue$/);
    expect(other.calls.all[0].queue).not.toBe(queue);
    expect(one.log.lines.join('\n')).toContain(
      `«${queue}»: price.changed → Cache.clear, prefetch 10, of this process alone`,
    );
  });

  test('has its dead letters where all have them; one is redriven to its process, and stays when that is gone', async () => {
    const transport = await fresh();
    let broken = true;
    const one = await start(transport(), () => broken);
    const other = await start(transport());
    for (const id of ['first', 'second']) {
      const dead = event(one.messaging, 'dead-lettered');
      await other.get(Publisher).publish('price.changed', {}, { id });
      await dead;
    }
    await other.calls.until(2);
    const letters = other.get(DeadLetters);
    await waitFor(async () => (await letters.count()) === 2, 'the dead letters');
    expect(await letters.show('first')).toMatchObject({ deadLetterQueue: 'shop:price.changed:dlq' });
    broken = false;
    expect(await letters.redrive({ ids: ['first'] })).toMatchObject({ done: 1, failed: [] });
    await one.calls.until(5);
    expect(one.calls.all.at(-1)).toMatchObject({ id: 'first', attempt: 1 });
    await one.close();
    const { done, failed } = await letters.redrive({ ids: ['second'] });
    expect([done, failed.length]).toEqual([0, 1]);
    expect((await letters.list()).map(({ id }) => id)).toEqual(['second']);
    expect(other.calls.all).toHaveLength(2);
  });

  test('a subscription that binds nothing consumes what somebody else has bound, after its restart too', async () => {
    const transport = await fresh();
    const binds = await start(transport(), undefined, { queue: 'prices' });
    await binds.close();
    for (const id of ['1', '2']) {
      const { calls, get, close } = await start(transport(), undefined, { queue: 'prices', bind: false });
      await get(Publisher).publish('price.changed', {}, { id });
      await calls.until(1);
      expect(calls.all).toEqual([{ id, attempt: 1, queue: 'prices' }]);
      await close();
    }
  });
});
