import { afterEach, expect, test } from '@jest/globals';
import { type BatchContext, type MessageContext, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { type Application, boot, closeApplications, Seen } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

/** What every kind of consumer can read of a message. */
type Correlated = Pick<MessageContext, 'correlationId' | 'replyTo' | 'attempt'>;

const asked = { correlationId: 'c-1', replyTo: 'answers' };
const read = ({ correlationId, replyTo }: Correlated): object => ({ correlationId, replyTo });

function application(transport: TransportFactory): Promise<Application> {
  const retry = { attempts: 2, backoff: 20 };
  return boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport, retry })] });
}

describeAllBrokers('correlationId and replyTo of a message', (fresh) => {
  test('are in the context of its handler, in that of its retry, and undefined where nobody gave them', async () => {
    const { messaging } = await application((await fresh())());
    const seen = new Seen<Correlated>();
    await messaging.subscribe({ route: 'asked' }, (_, context) => {
      seen.add(context);
      if (context.attempt === 1) throw new Error('once more');
    });
    await messaging.publisher.publish('asked', {}, asked);
    const [first, second] = await seen.until(2);
    expect([first, second].map(read)).toEqual([asked, asked]);
    expect(second.attempt).toBe(2);
    await messaging.publisher.publish('asked', {});
    expect(read((await seen.until(3))[2])).toEqual({ correlationId: undefined, replyTo: undefined });
  });

  test('are in the entries of a batch', async () => {
    const { messaging } = await application((await fresh())());
    const seen = new Seen<BatchContext>();
    await messaging.subscribeBatch({ route: 'asked', size: 2, maxWait: 10 }, (_, context) => seen.add(context));
    await messaging.publisher.publish('asked', {}, asked);
    const [{ entries }] = await seen.until(1);
    expect(entries.map(read)).toEqual([asked]);
  });

  test('are in a message that is received', async () => {
    const { messaging } = await application((await fresh())());
    await (await messaging.subscribe({ route: 'asked' }, () => undefined)).stop();
    await messaging.publisher.publish('asked', {}, asked);
    for await (const message of messaging.receive('asked')) {
      expect(read(message)).toEqual(asked);
      await message.ack();
      break;
    }
  });
});
