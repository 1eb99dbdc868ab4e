import { describe, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Subscribe } from 'nestjs-messaging';
import { Publishes } from 'nestjs-messaging/asyncapi';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { request, Respond } from 'nestjs-messaging/request';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import { z } from 'zod';
import { compareDocuments } from '../../lib/asyncapi/document-comparison.js';
import type { StandardSchema } from '../../lib/message/standard-schema.js';
import { documentOf } from './document-of.js';

const ask = z.object({ item: z.string() });
const price = (answer: StandardSchema) => request('price', ask, answer);
const whole = price(z.object({ amount: z.number().int() }));

@Injectable()
class Prices {
  @Respond(whole)
  price(): { amount: number } {
    return { amount: 1 };
  }

  @Subscribe('heard')
  heard(): void {}
}

const answer = { $ref: '#/channels/reply:price/messages/price.reply' };
const refusal = { $ref: '#/channels/reply:price/messages/error.reply' };

describe('what is answered', () => {
  test('of a handler of requests the reply is told: where it goes, its schema, and its errors', async () => {
    const { channels, operations, components } = await documentOf([Prices], {}, nats());
    expect(operations['Prices.price'].reply).toEqual({
      address: { location: '$message.header#/Reply-To' },
      channel: { $ref: '#/channels/reply:price' },
      messages: [refusal, answer],
    });
    expect(channels['reply:price']).toMatchObject({ address: null, 'x-nestjs-messaging-reply': { routes: ['price'] } });
    expect(components.schemas['price.reply']).toMatchObject({ required: ['amount'] });
    expect(components.messages['price.reply']).toMatchObject({ contentType: 'application/json' });
    expect(components.messages['error.reply'].headers.allOf).toContainEqual(
      expect.objectContaining({ required: ['messaging-error'] }),
    );
    expect(operations['Prices.heard'].reply).toBeUndefined();
  });

  test('who publishes by the contract of a request reads its reply', async () => {
    @Publishes(whole)
    @Injectable()
    class Shop {}
    const { operations } = await documentOf([Shop], {}, rabbitmq());
    expect(operations['send.price'].reply).toEqual({
      channel: { $ref: '#/channels/reply:price' },
      messages: [refusal, answer],
    });
  });

  test('an address that is no header is said in words', async () => {
    const { channels } = await documentOf([Prices], {}, rabbitmq());
    expect(channels['reply:price'].description).toBe('Each request says where, in its property «reply_to»');
  });

  test('where there is no way back nobody is said to be answered', async () => {
    const { operations, channels } = await documentOf([], { publishes: [whole] }, postgres());
    expect(operations['send.price'].reply).toBeUndefined();
    expect(Object.keys(channels)).toEqual(['price']);
  });

  test('a reply without a schema is listed, and refused by `strict`', async () => {
    class Untold {
      @Respond('untold')
      answer(): void {}
    }
    const { 'x-nestjs-messaging-undocumented': listed } = await documentOf([Untold]);
    expect(listed).toEqual(['Untold.answer (reply)', 'Untold.answer: untold']);
  });

  test('in the form of Nest an answer and an error are one message', async () => {
    const { operations, components } = await documentOf([Prices], {}, rabbitmq(), nestEnvelope());
    expect(operations['Prices.price'].reply.messages).toEqual([answer]);
    const [{ properties }, other] = components.messages['price.reply'].payload.anyOf;
    expect(properties.response).toEqual({ $ref: '#/components/schemas/price.reply' });
    expect(other.properties.err).toMatchObject({ required: ['code', 'message', 'retryable'] });
  });
});

describe('a reply that changes', () => {
  const optional = price(z.object({ amount: z.number().int().optional() }));

  test.each([
    ['the answer loses what was always there', whole, optional, 'breaks', 'ok'],
    ['the answer always has it from now on', optional, whole, 'ok', 'breaks'],
  ] as const)('%s', async (_, before, after, sent, received) => {
    const [answered, asked] = await Promise.all(
      [answering, asking].map(async (documentWith) => {
        const changes = compareDocuments(await documentWith(before), await documentWith(after));
        return changes.filter(({ id }) => id.includes('price.reply')).map(({ verdict }) => verdict);
      }),
    );
    expect({ answered, asked }).toEqual({ answered: [sent], asked: [received] });
  });

  function answering(contract: typeof whole): Promise<unknown> {
    class Answers {
      answer(): void {}
    }
    Respond(contract)(
      Answers.prototype,
      'answer',
      Object.getOwnPropertyDescriptor(Answers.prototype, 'answer') as never,
    );
    return documentOf([Answers]);
  }

  const asking = (contract: typeof whole): Promise<unknown> => documentOf([], { publishes: [contract] });
});
