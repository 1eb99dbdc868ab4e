import { afterEach, expect, test } from '@jest/globals';
import { type MessageContext, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { type RepliesOptions, ReplyError, Requester } from 'nestjs-messaging/request';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { describeAllBrokers } from '../e2e/support/brokers.js';
import { stranger } from './stranger.js';

afterEach(closeApplications);

const WITHIN = 60_000;

const application = (service: string, transport: TransportFactory): Promise<Application> =>
  boot({ imports: [MessagingModule.forRoot({ service, transport })] });

async function gathered(requester: Requester, options: RepliesOptions): Promise<unknown[]> {
  const results: unknown[] = [];
  for await (const result of requester.replies('quote', { item: 'x' }, options))
    results.push(result.status === 'fulfilled' ? result.value : (result.reason as { code: string }).code);
  return results.sort();
}

describeAllBrokers('the replies of several services to one request', (fresh) => {
  test(
    'are one of each, also an error; of one that is not there none, and of nobody UNROUTABLE',
    async () => {
      const transport = await fresh();
      const shop = await application('shop', transport());
      const requester = shop.get(Requester);
      await expect(gathered(requester, { timeout: WITHIN })).rejects.toMatchObject({ code: 'UNROUTABLE' });

      const deadlines: (number | undefined)[] = [];
      const answering = async (service: string, answer: (context: MessageContext) => unknown): Promise<Application> => {
        const responder = await application(service, transport());
        await responder.messaging.subscribe(
          { route: 'quote', retry: false, answers: { always: true } },
          (_, context) => {
            deadlines.push(context.deadline);
            return answer(context);
          },
        );
        return responder;
      };
      // The requester is told by the queue of its reply whose it is: of these two the second one is one too many.
      const other = await stranger(transport());
      await answering('first', async ({ replyTo, correlationId, queue }) => {
        await other.replies!.reply(replyTo!, {
          ...{ id: 'r', route: 'quote', body: Buffer.from('"first"') },
          headers: { 'messaging-responder': queue },
          properties: { correlationId, contentType: 'application/json' },
        });
        return 'first, again';
      });
      await answering('second', () => 'second');
      await answering('third', () => {
        throw new ReplyError('SOLD_OUT', 'There is none');
      });
      expect(await gathered(requester, { max: 3, timeout: WITHIN })).toEqual(['SOLD_OUT', 'first', 'second']);
      expect(deadlines).toHaveLength(3);
      for (const deadline of deadlines) expect(deadline).toBeGreaterThan(Date.now());

      const gone = (): Promise<Application> => answering('gone', () => 'gone');
      await (await gone()).close();
      const replies = requester.replies('quote', { item: 'x' }, { timeout: WITHIN });
      const came = [await replies.next(), await replies.next(), await replies.next()];
      expect(came.map(({ value }) => (value as PromiseSettledResult<unknown>).status).sort()).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
      ]);
      // It is back within the time.
      await gone();
      expect(await replies.next()).toEqual({ done: false, value: { status: 'fulfilled', value: 'gone' } });
      await replies.return();
      expect(requester.pending).toBe(0);
      await other.close();
    },
    3 * WITHIN,
  );
});
