import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { RemoteError, ReplyError, request, Requester, Respond } from 'nestjs-messaging/request';
import { nestEnvelope } from 'nestjs-messaging/serializers';
import { npmFolderBesideBrokers } from '../../brokers/npm-folder.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { type Application, boot, closeApplications } from '../../e2e/support/application.js';

const { folder } = npmFolderBesideBrokers('request-peers', __dirname);

interface Ask {
  readonly item: string;
}
interface Quote {
  readonly price: number;
}

const enveloped = request<Ask, Quote>('ours.enveloped', { serializer: nestEnvelope() });

@Injectable()
class Quotes {
  @Respond('ours.plain')
  plain(ask: Ask): Quote {
    return this.enveloped(ask);
  }

  @Respond(enveloped)
  enveloped({ item }: Ask): Quote {
    if (item === 'sold-out') throw new ReplyError('OUT_OF_STOCK', 'There is none', { details: { next: 'June' } });
    return { price: item.length };
  }
}

describeRabbit('requests of other packages', (rabbit) => {
  const run = folder === undefined ? test.skip : test;
  let application: Application;
  let peer: ChildProcess;

  beforeAll(async () => {
    if (folder === undefined) return;
    const url = await rabbit.freshVhostUrl();
    const transport = rabbitmq({ url, exchange: 'events' });
    application = await boot({
      imports: [MessagingModule.forRoot({ service: 'ours', transport })],
      providers: [Quotes],
    });
    peer = fork(resolve(__dirname, 'peer.mjs'), [folder, url, 'events'], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    peer.stderr!.on('data', (text: Buffer) => (said += text.toString()));
    const ended = once(peer, 'exit').then(() => 'ended');
    const [first] = (await Promise.race([once(peer, 'message'), ended])) as unknown[];
    if (first !== 'ready') throw new Error(`The other side ended: ${said}`);
  }, 60_000);

  afterAll(async () => {
    peer?.kill('SIGKILL');
    await closeApplications();
  });

  let asked = 0;
  const theyAsk = (by: 'golevelup' | 'nest', route: string, body: Ask): Promise<object> => {
    const number = ++asked;
    const answer = new Promise<object>((told) => {
      const look = (message: { number: number }): void => {
        if (message.number !== number) return;
        peer.off('message', look);
        told(message);
      };
      peer.on('message', look);
    });
    peer.send({ number, by, route, body });
    return answer;
  };

  run('golevelup asks, and gets the answer; an error is an answer to it', async () => {
    expect(await theyAsk('golevelup', 'ours.plain', { item: 'ball' })).toMatchObject({ answer: { price: 4 } });
    expect(await theyAsk('golevelup', 'ours.plain', { item: 'sold-out' })).toMatchObject({
      answer: { code: 'OUT_OF_STOCK', message: 'There is none', details: { next: 'June' } },
    });
  });

  run('golevelup answers', async () => {
    const quote = request<Ask, Quote>('golevelup.quote');
    const requester = application.get(Requester);
    expect(await requester.request(quote, { item: 'ball' })).toEqual({ price: 4 });
    // It says nothing of an error, and keeps the request.
    await expect(requester.request(quote, { item: 'broken' }, { timeout: 500 })).rejects.toMatchObject({
      code: 'REQUEST_TIMEOUT',
    });
  });

  run('a client of Nest asks in its envelope, and gets the answer or the error', async () => {
    expect(await theyAsk('nest', 'ours.enveloped', { item: 'ball' })).toMatchObject({ answer: { price: 4 } });
    expect(await theyAsk('nest', 'ours.enveloped', { item: 'sold-out' })).toMatchObject({
      error: { status: 'error', code: 'OUT_OF_STOCK', message: 'There is none', details: { next: 'June' } },
    });
  });

  run('a server of Nest answers in its envelope; its errors are RemoteErrors', async () => {
    const requester = application.get(Requester);
    const quote = request<Ask, Quote>('nest.quote', { serializer: nestEnvelope() });
    expect(await requester.request(quote, { item: 'ball' })).toEqual({ price: 4 });
    const soldOut = requester.request(quote, { item: 'sold-out' });
    await expect(soldOut).rejects.toBeInstanceOf(RemoteError);
    await expect(soldOut).rejects.toMatchObject({ code: 'OUT_OF_STOCK', message: 'There is none', retryable: false });
    await expect(requester.request(quote, { item: 'broken' })).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: 'Internal server error',
      details: { status: 'error' },
    });
    await expect(requester.request(quote, { item: 'text' })).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: 'There is none',
    });
    await expect(requester.request(quote, { item: 'object' })).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      details: { why: 'There is none' },
    });
    expect(await requester.request(quote, { item: 'several' })).toEqual({ price: 1 });
    // Both sides of ours speak it as well.
    expect(await requester.request(enveloped, { item: 'ball' })).toEqual({ price: 4 });
    await expect(requester.request(enveloped, { item: 'sold-out' })).rejects.toMatchObject({
      code: 'OUT_OF_STOCK',
      details: { next: 'June' },
    });
  });
});
