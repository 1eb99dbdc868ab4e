import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  type MessageContext,
  MessagingModule,
  Outcome,
  Publisher,
  type StandardSchema,
  Subscribe,
  type TransportFactory,
} from 'nestjs-messaging';
import { RemoteError, ReplyError, ReplyLostError, request, Requester, Respond } from 'nestjs-messaging/request';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event } from './support/application.js';
import { describeAllBrokers } from './support/brokers.js';

afterEach(closeApplications);

interface Ask {
  readonly item: string;
}
interface Quote {
  readonly price: number;
}

/** A schema as a library makes it: one property of one type. */
function schemaOf<T>(property: string, type: string): StandardSchema<T, T> {
  const validate = (value: unknown): { value: T } | { issues: { message: string; path: string[] }[] } =>
    typeof (value as Record<string, unknown>)?.[property] === type
      ? { value: value as T }
      : { issues: [{ message: `must be a ${type}`, path: [property] }] };
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

const quote = request('order.quote', schemaOf<Ask>('item', 'string'), schemaOf<Quote>('price', 'number'));

/** What the responder does, by the item that is asked for. */
@Injectable()
class Quotes {
  readonly handled: string[] = [];
  /** Lets what is slow go on. */
  readonly gate = new AbortController();
  readonly aborted: unknown[] = [];

  @Respond(quote)
  async quote({ item }: Ask, context: MessageContext): Promise<Quote> {
    this.handled.push(item);
    switch (item) {
      case 'sold-out':
        throw new ReplyError('OUT_OF_STOCK', 'There is none', { details: { next: 'June' }, retryable: true });
      case 'broken':
        throw new Error('no route to amqp://user:secret@db:5672');
      case 'wrong':
        return { price: 'free' } as unknown as Quote;
      case 'slow':
        context.signal.addEventListener('abort', () => this.aborted.push((context.signal.reason as Error).name));
        await new Promise((resolve) => this.gate.signal.addEventListener('abort', resolve));
    }
    return { price: item.length };
  }

  @Respond('order.nothing')
  nothing(): void {}

  @Respond('order.decided')
  decided(): Outcome {
    return Outcome.ack;
  }

  /** An event handler that happens to return something. */
  @Subscribe('order.echo')
  echo(body: unknown): unknown {
    return body;
  }

  @Subscribe('order.silent')
  silent(): void {}

  @Subscribe('order.mute', { answers: false })
  mute(): string {
    return 'not told';
  }
}

async function both(transport: () => TransportFactory): Promise<{ asking: Application; answering: Application }> {
  const answering = await boot({
    imports: [MessagingModule.forRoot({ service: 'quotes', transport: transport() })],
    providers: [Quotes],
  });
  const asking = await boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: transport() })] });
  return { asking, answering };
}

const errorOf = (promise: Promise<unknown>): Promise<RemoteError> =>
  promise.then(
    () => {
      throw new Error('It was answered');
    },
    (error: RemoteError) => error,
  );

describeAllBrokers('a request', (fresh) => {
  test('is answered with what its handler returns, many at a time, each with its own', async () => {
    const { asking, answering } = await both(await fresh());
    const requester = asking.get(Requester);
    const items = Array.from({ length: 300 }, (_, n) => 'x'.repeat(n + 1));
    const answers = await Promise.all(items.map((item) => requester.request(quote, { item })));
    expect(answers).toEqual(items.map((_, n) => ({ price: n + 1 })));
    expect(await requester.request('order.nothing', {})).toBeUndefined();
    expect(requester.pending).toBe(0);
    expect(requester.unexpected).toEqual({ late: 0, second: 0, unknown: 0 });
    expect(answering.get(Quotes).handled).toHaveLength(300);
    expect(asking.messaging.requester).toBe(requester);
  });

  test('fails with what its handler failed with: the code, no stack, no secret; a schema on either side names the path', async () => {
    const { asking } = await both(await fresh());
    const requester = asking.get(Requester);
    const soldOut = await errorOf(requester.request(quote, { item: 'sold-out' }));
    expect(soldOut).toBeInstanceOf(RemoteError);
    expect(soldOut).toMatchObject({
      code: 'OUT_OF_STOCK',
      message: 'There is none',
      details: { next: 'June' },
      retryable: true,
    });
    const broken = await errorOf(requester.request(quote, { item: 'broken' }));
    expect(broken).toMatchObject({
      code: 'HANDLER_FAILED',
      message: 'no route to amqp://***@db:5672',
      retryable: false,
    });
    const wrong = await errorOf(requester.request(quote, { item: 'wrong' }));
    expect(wrong).toBeInstanceOf(RemoteError);
    expect(wrong).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('price: must be a number'),
    });
    // What is asked is checked by who asks, and by who is asked.
    const unsent = await errorOf(requester.request(quote, { item: 5 as unknown as string }));
    expect(unsent).not.toBeInstanceOf(RemoteError);
    expect(unsent).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('item: must be a string'),
    });
    const refused = await errorOf(requester.request('order.quote', { item: 5 }));
    expect(refused).toBeInstanceOf(RemoteError);
    expect(refused).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('item: must be a string'),
    });
    const misread = await errorOf(
      requester.request(request('order.echo', schemaOf<Ask>('item', 'string'), quote.reply!), { item: 'x' }),
    );
    expect(misread).not.toBeInstanceOf(RemoteError);
    expect(misread).toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('price: must be a number'),
    });
    expect(await errorOf(requester.request('order.decided', {}))).toMatchObject({ code: 'NO_ANSWER' });
    // The one who said no did its work; of the others the log tells.
    const lines = asking.log.lines.filter((line) => line.includes('OUT_OF_STOCK') || line.includes('There is none'));
    expect(lines).toEqual([]);
  });

  test('that nobody handles is UNROUTABLE at once', async () => {
    const { asking } = await both(await fresh());
    const error = await errorOf(asking.get(Requester).request('order.unheard-of', {}, { timeout: 600_000 }));
    expect(error).toMatchObject({ code: 'UNROUTABLE' });
  });

  test('without a reply in time is given up; its handler sees the deadline, and what it answers later is counted', async () => {
    const { asking, answering } = await both(await fresh());
    const { gate, aborted } = answering.get(Quotes);
    const requester = asking.get(Requester);
    const late = event(asking.messaging, 'reply-unexpected');
    const error = await errorOf(requester.request(quote, { item: 'slow' }, { timeout: 300 }));
    expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    await waitFor(() => aborted.length === 1);
    expect(aborted).toEqual(['RequestOverdueError']);
    gate.abort();
    expect(await late).toMatchObject({ reason: 'late' });
    expect(requester.unexpected).toEqual({ late: 1, second: 0, unknown: 0 });
  });

  test('can be given up by a signal', async () => {
    const { asking, answering } = await both(await fresh());
    const given = new AbortController();
    const asked = errorOf(
      asking.get(Requester).request(quote, { item: 'slow' }, { signal: given.signal, timeout: 60_000 }),
    );
    given.abort(new ReplyLostError('never mind'));
    expect(await asked).toMatchObject({ message: 'never mind' });
    expect(asking.get(Requester).pending).toBe(0);
    answering.get(Quotes).gate.abort();
  });

  test('that waits when the application stops rejects with REPLY_LOST', async () => {
    const { asking, answering } = await both(await fresh());
    const requester = asking.get(Requester);
    const asked = errorOf(requester.request(quote, { item: 'slow' }, { timeout: 60_000 }));
    await asking.close();
    answering.get(Quotes).gate.abort();
    expect(await asked).toMatchObject({ code: 'REPLY_LOST' });
    expect(await errorOf(requester.request(quote, { item: 'x' }))).toMatchObject({ code: 'PUBLISHER_CLOSED' });
  });

  test('is answered by a plain handler with a value; one without tells once that somebody waits in vain', async () => {
    const { asking } = await both(await fresh());
    const requester = asking.get(Requester);
    expect(await requester.request('order.echo', { a: 1 })).toEqual({ a: 1 });
    for (const route of ['order.silent', 'order.mute'])
      for (let n = 0; n < 2; n++)
        expect(await errorOf(requester.request(route, {}, { timeout: 100 }))).toMatchObject({
          code: 'REQUEST_TIMEOUT',
        });
    const warned = asking.log.lines.filter((line) => line.includes('asks for a reply'));
    expect(warned).toEqual([
      expect.stringContaining('its handler returned nothing'),
      expect.stringContaining('answers: false'),
    ]);
  });

  test('that a batch or receive() gets is told once in the log: its sender waits in vain', async () => {
    const { asking, answering } = await both(await fresh());
    const { messaging } = answering;
    let inBatches = 0;
    await messaging.subscribeBatch({ route: 'order.batch', size: 2, maxWait: 1 }, (payloads) => {
      inBatches += payloads.length;
    });
    const pulled: string[] = [];
    const messages = messaging.receive('order.pulled');
    const pulling = (async (): Promise<void> => {
      for await (const message of messages) {
        pulled.push(message.id);
        await message.ack();
        if (pulled.length === 2) return;
      }
    })();
    await waitFor(
      () => answering.messaging.health().consumers.filter(({ state }) => state === 'consuming').length === 7,
    );
    for (const route of ['order.batch', 'order.pulled'])
      for (let n = 0; n < 2; n++) {
        const error = await errorOf(asking.get(Requester).request(route, {}, { timeout: 100 }));
        expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT' });
        await waitFor(() => (route === 'order.batch' ? inBatches : pulled.length) === n + 1);
      }
    await pulling;
    const told = asking.log.lines.filter((line) => line.includes('asks for a reply'));
    expect(told).toEqual([
      expect.stringContaining('gets none: a handler of batches (@SubscribeBatch) answers nobody'),
      expect.stringContaining('gets none: receive(…) answers nobody'),
    ]);
    const refused = (): unknown => messaging.receive({ route: 'order.other', answers: true } as never);
    expect(refused).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option: 'answers' }));
  });

  test('with an address that is none is handled, and told of', async () => {
    const { asking, answering } = await both(await fresh());
    const untold = event(answering.messaging, 'reply-undeliverable');
    await asking.get(Publisher).publish(quote, { item: 'x' }, { replyTo: 'nobody-is-here', correlationId: 'c' });
    expect((await untold).error.code).toMatch(/^(UNROUTABLE|PUBLISH_REFUSED)$/);
    expect(answering.get(Quotes).handled).toEqual(['x']);
  });
});
