import { afterEach, describe, expect, test } from '@jest/globals';
import { type CanActivate, type INestApplication, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { InvalidOptionError, memory, message, MessagingModule, Subscribe } from 'nestjs-messaging';
import {
  asyncApi,
  AsyncApiModule,
  type AsyncApiModuleOptions,
  unconnectedApplication,
} from 'nestjs-messaging/asyncapi';
import { z } from 'zod';
import { ShopModule } from '../../sample/01-shop/shop.module.js';

const TOKEN = 'a-token-that-is-long-enough-for-tests';
const HOSTILE = '<img src=x onerror="alert(1)">';
const info = { title: 'shop', version: '1.0.0', description: HOSTILE };

const created = message(
  'order.created',
  z.object({
    id: z.string().min(1).describe(HOSTILE),
    items: z.array(z.object({ sku: z.string(), count: z.int().max(9) })),
  }),
);

@Injectable()
class Orders {
  @Subscribe(created)
  created(): void {}
}

const apps: INestApplication[] = [];
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});

async function serve(
  options: AsyncApiModuleOptions,
  { platform = 'express', ...more }: ModuleMetadata & { platform?: 'express' | 'fastify' } = {},
): Promise<{ url: string; get: (path: string, headers?: Record<string, string>) => Promise<Response> }> {
  const made = await Test.createTestingModule({
    ...more,
    imports: [
      MessagingModule.forRoot({ service: 'shop', transport: memory() }),
      AsyncApiModule.forRoot(options),
      ...(more.imports ?? []),
    ],
    providers: [Orders, ...(more.providers ?? [])],
  }).compile();
  const app =
    platform === 'fastify'
      ? made.createNestApplication(new FastifyAdapter(), { logger: false })
      : made.createNestApplication({ logger: false });
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { url, get: (path, headers = {}) => fetch(`${url}${path}`, { headers }) };
}

describe.each(['express', 'fastify'] as const)('the document of an application on %s', (platform) => {
  test('is a page, and JSON and YAML of the same document', async () => {
    const { get } = await serve({ insecure: true, info }, { platform });
    const page = await get('/asyncapi');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const html = await page.text();
    for (const one of ['Orders.created', 'order.created', 'items[].sku', 'maximum 9', 'shop:order.created:queue'])
      expect(html).toContain(one);
    const document = await (await get('/asyncapi/asyncapi.json')).json();
    expect(document).toEqual(JSON.parse(JSON.stringify(asyncApi(apps[0], { info }))));
    expect(await (await get('/asyncapi', { accept: 'application/json' })).json()).toEqual(document);
    expect(await (await get('/asyncapi/asyncapi.yaml')).text()).toMatch(/^asyncapi: "3\.1\.0"\n/);
    for (const name of html.match(/(?<=(?:href|src)=")asyncapi\/[^"]+/g)!)
      expect([name, (await get(`/${name}`)).status]).toEqual([name, 200]);
    for (const path of ['/asyncapi/nothing', '/asyncapi/asyncapi.json/more'])
      expect((await get(path)).status).toBe(404);
  });

  test('can only be read, with headers that keep the page from being framed and fed with foreign scripts', async () => {
    const { url, get } = await serve({ insecure: true }, { platform });
    const put = await fetch(`${url}/asyncapi`, { method: 'POST' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const csp = (await get('/asyncapi')).headers.get('content-security-policy');
    expect(csp).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(csp).not.toContain('unsafe');
  });

  test('asks for its token, as bearer or as a password, and for no other', async () => {
    const { get } = await serve({ token: TOKEN }, { platform });
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    const asked = await get('/asyncapi/asyncapi.json');
    expect([asked.status, await asked.text()]).toEqual([401, '']);
    expect(asked.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
    for (const [authorization, status] of [
      [`Bearer ${TOKEN}`, 200],
      [basic(`anybody:${TOKEN}`), 200],
      [basic(`${TOKEN}:`), 401],
      [`Bearer ${TOKEN}x`, 401],
      ['Digest x', 401],
    ] as const)
      expect([authorization, (await get('/asyncapi', { authorization })).status]).toEqual([authorization, status]);
  });

  test('stands behind guards, with what they need', async () => {
    @Injectable()
    class Readers {
      readonly names = ['ada'];
    }
    @Injectable()
    class ReaderGuard implements CanActivate {
      constructor(private readonly readers: Readers) {}
      canActivate(context: Parameters<CanActivate['canActivate']>[0]): boolean {
        return this.readers.names.includes(context.switchToHttp().getRequest().headers['x-user']);
      }
    }
    @Module({ providers: [Readers, ReaderGuard], exports: [Readers, ReaderGuard] })
    class ReadersModule {}
    const { get } = await serve({ guards: [ReaderGuard], path: 'docs/events' }, { platform, imports: [ReadersModule] });
    expect((await get('/docs/events', { 'x-user': 'ada' })).status).toBe(200);
    const refused = await get('/docs/events/asyncapi.json', { 'x-user': 'eve' });
    expect([refused.status, await refused.text()]).toEqual([403, '']);
  });
});

test('what comes from the application is text on the page, whatever it holds', async () => {
  const { get } = await serve({ insecure: true, info });
  const html = await (await get('/asyncapi')).text();
  expect(html).not.toContain('<img');
  expect(html.split('&#60;img src=x onerror=&#34;alert(1)&#34;&#62;')).toHaveLength(3);
});

test('a document that cannot be made is told, and the application goes on', async () => {
  const dates = message('order.dated', z.object({ at: z.date() }));
  @Injectable()
  class Dated {
    @Subscribe(dates)
    dated(): void {}
  }
  const { get } = await serve({ insecure: true }, { providers: [Dated] });
  const answer = await get('/asyncapi');
  expect(answer.status).toBe(500);
  expect(await answer.text()).toMatch(/^The AsyncAPI document cannot be made: .*order\.dated/);
  expect((await get('/asyncapi/asyncapi.css')).status).toBe(200);
});

test('a reference that holds a bare percent sign is shown as it is', async () => {
  const { documentPage } = await import('../../lib/asyncapi/document-page.js');
  const operation = { action: 'receive', channel: { $ref: '#/channels/100%' } };
  const document = { info, servers: {}, channels: {}, operations: { sold: operation }, components: { messages: {} } };
  expect(documentPage(document as never, 'asyncapi/')).toContain('<code>100%</code>');
});

test('a name with half a character has a place on the page', async () => {
  const { documentPage } = await import('../../lib/asyncapi/document-page.js');
  const operation = { action: 'receive', channel: { $ref: '#/channels/a' }, messages: [{ $ref: '#/m/a\ud800' }] };
  const document = { info, servers: {}, channels: {}, operations: { sold: operation }, components: { messages: { 'a\ud800': {} } } }; // prettier-ignore
  const html = documentPage(document as never, 'asyncapi/');
  const [, anchor] = /<section id="([^"]+)">/.exec(html)!;
  expect(html).toContain(`href="#${anchor}"`);
});

test('a page of a sample has at most 30 kB', async () => {
  const app = await unconnectedApplication(ShopModule);
  const document = asyncApi(app);
  await app.close();
  const { documentPage, SCRIPT, STYLE } = await import('../../lib/asyncapi/document-page.js');
  expect(Buffer.byteLength(documentPage(document, 'asyncapi/') + SCRIPT + STYLE)).toBeLessThan(30_000);
});

test.each([
  [{}, /asyncApi\.guards.*guards: \[AdminGuard\], or token.*insecure: true/s],
  [{ token: 'short' }, /asyncApi\.token.*a text of 5 characters/s],
  [{ token: TOKEN, insecure: true }, /more than one protection/],
  [{ insecure: true, path: '/a b' }, /asyncApi\.path/],
  [{ insecure: true, pth: '/a' }, /pth/],
  [{ guards: ['admin'] }, /asyncApi\.guards/],
  [{ insecure: true, include: { actions: ['push'] } }, /include\.actions/],
])('options that are refused when the module is made: %j', (options, text) => {
  expect(() => AsyncApiModule.forRoot(options as AsyncApiModuleOptions)).toThrow(InvalidOptionError);
  expect(() => AsyncApiModule.forRoot(options as AsyncApiModuleOptions)).toThrow(text);
});

test('open to everybody is refused in production', () => {
  const before = process.env.NODE_ENV;
  process.env.NODE_ENV = 'production';
  try {
    expect(() => AsyncApiModule.forRoot({ insecure: true })).toThrow(/asyncApi\.insecure/);
  } finally {
    process.env.NODE_ENV = before;
  }
});

test('options may come from other providers', async () => {
  const made = await Test.createTestingModule({
    imports: [
      MessagingModule.forRoot({ service: 'shop', transport: memory() }),
      AsyncApiModule.forRootAsync({ path: '/events', useFactory: async () => ({ insecure: true }) }),
    ],
    providers: [Orders],
  }).compile();
  const app = made.createNestApplication({ logger: false });
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  expect((await fetch(`${await app.getUrl()}/events/asyncapi.json`)).status).toBe(200);
});
