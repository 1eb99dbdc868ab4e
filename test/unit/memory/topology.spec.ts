import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError, TopologyMismatchError } from '../../../lib/errors/configuration-errors.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import { type Browser } from '../../../lib/transport/queue-operations.js';
import { Client, numbered, topology } from './client.js';

const deadLetter = { queue: 'dlq', route: 'dead' };

async function readAll(browser: Browser): Promise<string[]> {
  const ids: string[] = [];
  for (let next = await browser.next(); next; next = await browser.next()) ids.push(next.message.id);
  return ids;
}

describe('declare', () => {
  it('creates the queue and its dead-letter queue, and adds patterns when repeated', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q', ['a'], { deadLetter }));
    await client.transport.declare(topology('q', ['b'], { deadLetter }));
    await client.publish('a', { id: 'a' });
    await client.publish('b', { id: 'b' });
    expect(await client.transport.queues!.depth('q')).toBe(2);
    expect(await client.transport.queues!.depth('dlq')).toBe(0);
    expect(await client.transport.queues!.depth('none')).toBeUndefined();
  });

  it('with other options than before names the queue, the option, wanted and found', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q', ['a'], { deadLetter }));
    const wanted = client.transport.declare(topology('q', ['b']));
    await expect(wanted).rejects.toThrow(TopologyMismatchError);
    await expect(wanted).rejects.toThrow(
      'Queue «q» exists with another «deadLetter»: wanted none, found queue «dlq» by route «dead» on «events.dlx»',
    );
    await client.publish('b', { id: 'b' });
    expect(client.results.map(([, status]) => status)).toEqual(['unroutable']);
  });

  it('refuses an unknown option of the broker', async () => {
    const client = await Client.connect();
    await expect(client.transport.declare(topology('q', [], { native: { durable: true } }))).rejects.toThrow(
      InvalidOptionError,
    );
  });

  it.each([['topology', {}, { provision: false }] as const, ['environment', { provision: false }, {}] as const])(
    'with provision: false in the %s creates nothing and names what is missing',
    async (_, environment, more) => {
      const client = await Client.connect(undefined, undefined, environment);
      const wanted = client.transport.declare(topology('q', ['a'], { ...more, deadLetter }));
      await expect(wanted).rejects.toThrow('Missing on the broker: queue «q», «dlq»');
      expect(client.broker.queues()).toEqual([]);
      const other = await Client.connect(client.broker, client.clock);
      await other.transport.declare(topology('q', ['a'], { deadLetter }));
      await client.transport.declare(topology('q', ['a'], { ...more, deadLetter }));
    },
  );

  it('is taken back pattern by pattern by unbind, for good', async () => {
    const client = await Client.connect();
    const consumer = await client.consume(topology('q', ['a', 'b']));
    await client.transport.queues!.unbind(topology('q', ['a']));
    client.broker.faults.disconnect();
    await client.transport.queues!.unbind(topology('q', ['b']));
    await client.clock.advance(100);
    await client.publish('a', { id: 'a' });
    await client.publish('b', { id: 'b' });
    expect(client.results.map(([, status]) => status)).toEqual(['unroutable', 'unroutable']);
    await client.publish({ kind: 'queue', queue: 'q' }, { id: 'direct' });
    expect(consumer.ids).toEqual(['direct']);
  });
});

describe('a subscription', () => {
  it('needs a queue and a prefetch', async () => {
    const client = await Client.connect();
    const handlers = { delivery() {}, lost() {}, state() {} };
    const subscribe = (prefetch: number) => client.transport.subscribe({ topology: topology('q'), prefetch }, handlers);
    await expect(subscribe(1)).rejects.toThrow(TopologyMismatchError);
    await client.transport.declare(topology('q'));
    await expect(subscribe(0)).rejects.toThrow(InvalidOptionError);
  });
});

describe('a browser', () => {
  it('shows what was there, once each, hidden from consumers, and gives it back in order', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q'));
    await client.publish('q', ...numbered(5));
    const browser = await client.transport.queues!.browse('q');
    await client.publish('q', { id: 'new' });
    const first = await browser.next();
    const second = await browser.next();
    first!.release();
    second!.ack();
    expect(await readAll(browser)).toEqual(['2', '3', '4']);
    const consumer = await client.consume(topology('q'));
    expect(consumer.ids).toEqual(['new']);
    await browser.close();
    await browser.close();
    await client.clock.advance(0);
    expect(consumer.ids).toEqual(['new', '0', '2', '3', '4']);
    expect(consumer.deliveries[1].deliveryCount).toBe(1);
    expect(await browser.next()).toBeUndefined();
  });

  it('loses what it holds to the queue when the connection ends', async () => {
    const client = await Client.connect();
    await client.transport.declare(topology('q'));
    await client.publish('q', ...numbered(3));
    const browser = await client.transport.queues!.browse('q');
    const held = await browser.next();
    client.broker.faults.disconnect();
    held!.ack();
    await expect(browser.next()).rejects.toThrow(NotConnectedError);
    await browser.close();
    await client.clock.advance(100);
    expect(await readAll(await client.transport.queues!.browse('q'))).toEqual(['0', '1', '2']);
  });

  it('needs a queue', async () => {
    const client = await Client.connect();
    await expect(client.transport.queues!.browse('none')).rejects.toThrow(TopologyMismatchError);
  });
});
