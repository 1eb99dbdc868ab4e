import { afterEach, expect, test } from '@jest/globals';
import { MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { Requester } from 'nestjs-messaging/request';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { describeAllBrokers } from '../e2e/support/brokers.js';

afterEach(closeApplications);

const WITHIN = 60_000;

describeAllBrokers('a request that waits in its queue', (fresh) => {
  test(
    'for longer than its sender waits is not handled by whoever comes then; one that is still waited for is',
    async () => {
      const transport = await fresh();
      const application = (service: string, given: TransportFactory = transport()): Promise<Application> =>
        boot({ imports: [MessagingModule.forRoot({ service, transport: given })] });
      const handled: string[] = [];
      const responder = async (): Promise<Application> => {
        const answering = await application('quotes');
        await answering.messaging.subscribe({ route: 'quote', answers: { always: true } }, ({ item }: Ask) => {
          handled.push(item);
          return { item };
        });
        return answering;
      };
      await (await responder()).close();

      const requester = (await application('shop')).get(Requester);
      await expect(requester.request('quote', { item: 'stale' }, { timeout: 100 })).rejects.toMatchObject({
        code: 'REQUEST_TIMEOUT',
      });
      const asked = requester.request('quote', { item: 'wanted' }, { timeout: WITHIN });
      expect(requester.pending).toBe(1);
      const answering = await responder();
      expect(await asked).toEqual({ item: 'wanted' });
      await waitFor(() => answering.messaging.health().consumers[0].inFlight === 0, 'an end', WITHIN);
      expect(handled).toEqual(['wanted']);
    },
    2 * WITHIN,
  );
});

interface Ask {
  readonly item: string;
}
