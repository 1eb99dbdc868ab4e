import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { message, MessagingModule, partitioned, Subscribe } from 'nestjs-messaging';
import { asyncApi, unconnectedApplication } from 'nestjs-messaging/asyncapi';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { request, Respond } from 'nestjs-messaging/request';
import { cloudEvents, nestEnvelope } from 'nestjs-messaging/serializers';
import { z } from 'zod';
import { documentOf } from './document-of.js';
import { describeWithTools } from './tools.js';
import { transports } from './transports.js';

const golden = resolve(__dirname, 'golden');
const folder = mkdtempSync(join(tmpdir(), 'asyncapi-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In a process of its own: under Jest the parser takes four times as long. */
const JUDGE = `
const { Parser } = require(process.argv[1]);
const { readFileSync } = require('node:fs');
(async () => {
  const found = [];
  for (const file of process.argv.slice(2)) {
    const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
    if (!document) found.push(file + ' is no document');
    for (const { message, path } of diagnostics) found.push(file + ' ' + path.join('/') + ': ' + message);
  }
  console.log(JSON.stringify(found));
})();`;

async function manyRoutes(): Promise<string> {
  const tree: z.ZodType = z.object({ name: z.string(), get children() { return z.array(tree); } }); // prettier-ignore
  const kinds = z.discriminatedUnion('k', [z.object({ k: z.literal('a') }), z.object({ k: z.literal('b') })]);
  const schemas = [tree, z.object({ at: z.iso.datetime(), kinds, note: z.string().nullable().optional() })];
  const routes = Array.from({ length: 200 }, (_, at) => `team${at % 7}.${at % 20 === 0 ? '*' : 'order'}.event${at}`);
  const publishes = routes.map((route, at) => message(route, schemas[at % schemas.length]));
  @Module({ imports: [MessagingModule.forRoot({ service: 'shop', transport: rabbitmq() })] })
  class AppModule {}
  const app = await unconnectedApplication(AppModule);
  const document = asyncApi(app, { publishes, strict: true });
  await app.close();
  expect(Object.keys(document.operations)).toHaveLength(200);
  const file = join(folder, 'many-routes.json');
  writeFileSync(file, JSON.stringify(document));
  return file;
}

const paid = message('order.paid', z.object({ id: z.string() }), { serializer: cloudEvents({ source: '/shop', mode: 'structured' }) }); // prettier-ignore
const nested = message('order.nested', z.object({ id: z.string() }), { serializer: nestEnvelope() });
const price = request('price', z.object({ item: z.string() }), z.object({ amount: z.number() }));

@Injectable()
class Orders {
  @Subscribe('order.*.#', { name: 'orders', concurrency: partitioned() })
  any(): void {}
  @Subscribe(paid, { exclusive: true })
  paid(): void {}
}

@Injectable()
class Prices {
  @Respond(price)
  price(): { amount: number } {
    return { amount: 1 };
  }
}

/** One of each transport, with all that there is to tell. */
async function ofTransports(): Promise<string[]> {
  const written = Object.entries(transports).map(async ([name, transport]) => {
    const { replies } = transport.create();
    const document = await documentOf(replies ? [Orders, Prices] : [Orders], { publishes: [paid, nested, price] }, transport); // prettier-ignore
    const file = join(folder, `${name.replace(/\W+/g, '-')}.json`);
    writeFileSync(file, JSON.stringify(document));
    return file;
  });
  return Promise.all(written);
}

describeWithTools('@asyncapi/parser', (load) => {
  test('has nothing to say against the documents of the samples, of each transport, and one of 200 routes', async () => {
    const samples = readdirSync(golden).filter((name) => name.includes('rabbitmq') === /^(01|10|11)/.test(name));
    const files = [...samples.map((name) => join(golden, name)), ...(await ofTransports()), await manyRoutes()];
    const parser = load.resolve('@asyncapi/parser');
    const found = execFileSync(process.execPath, ['-e', JUDGE, parser, ...files], { encoding: 'utf8' });
    expect(JSON.parse(found)).toEqual([]);
  }, 180_000);
});
