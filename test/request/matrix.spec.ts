import { afterEach, expect, test } from '@jest/globals';
import { bounded, MessagingModule, type MessageContext, type TransportFactory } from 'nestjs-messaging';
import { Requester } from 'nestjs-messaging/request';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { describeAllBrokers } from '../e2e/support/brokers.js';
import { stranger } from './stranger.js';

afterEach(closeApplications);

const WITHIN = 60_000;

const application = (service: string, transport: TransportFactory): Promise<Application> =>
  boot({ imports: [MessagingModule.forRoot({ service, transport, reconnect: { initial: 20, max: 100 } })] });

describeAllBrokers('a reply', (fresh) => {
  test(
    'that is forged, and a second one, are counted and change nothing: the answer is that of whoever was asked',
    async () => {
      const transport = await fresh();
      const answering = await application('quotes', transport());
      const asking = await application('shop', transport());
      const requester = asking.get(Requester);
      const told: string[] = [];
      asking.messaging.events.on('reply-unexpected', ({ reason }) => void told.push(reason));
      const forger = await stranger(transport());
      const reply = async (to: string, correlationId: string, body: string): Promise<void> => {
        const properties = { contentType: 'application/json', correlationId };
        const result = await forger.replies!.reply(to, {
          id: 'f',
          route: 'quote',
          body: Buffer.from(body),
          headers: {},
          properties,
        });
        expect(result.status).toBe('confirmed');
      };
      let context!: MessageContext;
      await answering.messaging.subscribe({ route: 'quote', answers: { always: true } }, async (_, given) => {
        context = given;
        // Whoever guesses, or knows an id of the application.
        await reply(given.replyTo!, 'guessed', '{"price":1}');
        await reply(given.replyTo!, given.id, '{"price":2}');
        await waitFor(() => told.length === 2, 'the forged ones', WITHIN);
        return { price: 3 };
      });
      expect(await requester.request('quote', {}, { timeout: WITHIN })).toEqual({ price: 3 });
      await reply(context.replyTo!, context.correlationId!, '{"price":4}');
      await waitFor(() => told.length === 3, 'the second one', WITHIN);
      expect(told).toEqual(['unknown', 'unknown', 'second']);
      expect(requester.unexpected).toEqual({ late: 0, second: 1, unknown: 2 });
      expect(requester.pending).toBe(0);
      await forger.close();
    },
    2 * WITHIN,
  );

  test(
    'that the responder owes when it stops is UNAVAILABLE by onShutdown, and else that of another responder',
    async () => {
      const transport = await fresh();
      const asking = await application('shop', transport());
      const requester = asking.get(Requester);
      for (const onShutdown of ['unavailable', 'give-back'] as const) {
        const stopping = await application('quotes', transport());
        const gate = new AbortController();
        const begun: unknown[] = [];
        const request = { route: 'quote', prefetch: 5, concurrency: bounded(1), answers: { always: true, onShutdown } };
        await stopping.messaging.subscribe(request, async (payload) => {
          begun.push(payload);
          await new Promise((resolve) => gate.signal.addEventListener('abort', resolve));
          return 'first';
        });
        const asked = Array.from({ length: 3 }, (_, n) =>
          requester.request('quote', { n }, { timeout: WITHIN }).catch((error: { code: string }) => error.code),
        );
        await waitFor(() => begun.length === 1, 'the first', WITHIN);
        await waitFor(() => stopping.messaging.health().consumers[0].inFlight === 3, 'the others', WITHIN);
        const closing = stopping.close();
        const left = (): number | undefined => stopping.messaging.health().consumers[0]?.inFlight;
        await waitFor(() => left() === 1, 'the end of the others', WITHIN);
        gate.abort();
        await closing;
        if (onShutdown === 'unavailable')
          expect(await Promise.all(asked)).toEqual(['first', 'UNAVAILABLE', 'UNAVAILABLE']);
        else {
          const other = await application('quotes', transport());
          await other.messaging.subscribe({ route: 'quote', answers: { always: true } }, () => 'other');
          expect(await Promise.all(asked)).toEqual(['first', 'other', 'other']);
          await other.close();
        }
      }
    },
    3 * WITHIN,
  );
});
