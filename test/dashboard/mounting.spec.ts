import { afterEach, describe, expect, test } from '@jest/globals';
import { type CanActivate, type ExecutionContext, Injectable, VersioningType } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { InvalidOptionError } from 'nestjs-messaging';
import { createDashboardHandler, MessagingDashboardModule, role } from 'nestjs-messaging/dashboard';
import { closeShops, OWN, seen, Shop, TOKEN } from './support.js';

afterEach(closeShops);

describe.each(['express', 'fastify'] as const)('Mounted in a Nest application on %s', (platform) => {
  test('the page, its data and its stream are there, and with a slash where the platform knows such paths', async () => {
    const shop = await Shop.open({ platform });
    for (const path of platform === 'express' ? ['/messaging', '/messaging/'] : ['/messaging']) {
      const page = await shop.call('GET', path);
      expect(page.status).toBe(200);
      expect(await page.text()).toContain(`<base href="${path.endsWith('/') ? './' : 'messaging/'}">`);
    }
    expect(await shop.get('overview')).toMatchObject({ service: 'shop', status: 'up' });
    const live = await shop.call('GET', '/messaging/api/v1/live');
    expect(live.headers.get('content-type')).toBe('text/event-stream');
    const reader = live.body!.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toMatch(/^retry: 2000\ndata: \{"overview":.*\}\n\n$/);
    await reader.cancel();
    expect((await shop.call('GET', '/messaging/nothing')).status).toBe(404);
    expect((await shop.call('GET', '/messaging/api/v1/nothing')).status).toBe(404);
  });

  test('an open stream does not hold up the end of the application', async () => {
    const shop = await Shop.open({ platform });
    const live = await shop.call('GET', '/messaging/api/v1/live');
    const reader = live.body!.getReader();
    await reader.read();
    await closeShops();
    expect((await reader.read()).done).toBe(true);
  });

  test('it stands behind the global prefix, with versions, and at a path of its own', async () => {
    const shop = await Shop.open({
      platform,
      dashboard: { insecure: true, path: '/ops/queues' },
      configure: (app) => {
        app.setGlobalPrefix('api');
        app.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
      },
    });
    expect((await shop.call('GET', '/api/ops/queues/api/v1/overview')).status).toBe(200);
    expect((await shop.call('GET', '/ops/queues/api/v1/overview')).status).toBe(404);
  });

  test('guards of the application, classes and instances, are asked, with what they need and the request', async () => {
    @Injectable()
    class Users {
      readonly admins = ['ada'];
    }
    @Injectable()
    class AdminGuard implements CanActivate {
      constructor(private readonly users: Users) {}
      canActivate(context: ExecutionContext): boolean {
        return this.users.admins.includes(context.switchToHttp().getRequest().headers['x-user'] as string);
      }
    }
    const shop = await Shop.open({
      platform,
      dashboard: { guards: [AdminGuard], operator: ({ headers }) => headers['x-user'] as string },
      more: { providers: [Users, AdminGuard] },
    });
    for (const path of ['', '/app.js', '/api/v1/overview', '/api/v1/live']) {
      const refused = await shop.call('GET', `/messaging${path}`, { headers: { 'x-user': 'eve' } });
      expect([path, refused.status, await refused.text()]).toEqual([path, 403, '']);
    }
    expect(await shop.get('session', { 'x-user': 'ada' })).toEqual({ access: role.all, operator: 'ada', token: false });
  });

  test.each([
    ['throws', () => Promise.reject(new Error('secret reason'))],
    ['hangs', () => new Promise<boolean>(() => undefined)],
    ['answers with nothing', () => undefined as unknown as boolean],
  ])('a guard that %s is 403 with an empty body', async (_, canActivate) => {
    const shop = await Shop.open({ platform, dashboard: { guards: [{ canActivate }] } });
    const refused = await shop.call('GET', '/messaging');
    expect([refused.status, await refused.text()]).toEqual([403, '']);
  });

  test('global guards of the application apply, too', async () => {
    const shop = await Shop.open({
      platform,
      more: { providers: [{ provide: APP_GUARD, useValue: { canActivate: () => false } }] },
    });
    const refused = await shop.call('GET', '/messaging/api/v1/overview');
    expect([refused.status, await refused.text()]).toEqual([403, '']);
  });

  test('an application that lets other sites in does not do so for the dashboard', async () => {
    const shop = await Shop.open({ platform, configure: (app) => void app.enableCors() });
    const answer = await shop.call('GET', '/messaging/api/v1/overview', { headers: { origin: 'http://evil.example' } });
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test('a body is read whether the application parses bodies or not', async () => {
    const shop = await Shop.open({ platform });
    expect((await shop.act('POST', 'subscriptions/order.created/pause')).status).toBe(200);
    expect(await shop.get('subscriptions')).toMatchObject([{ name: 'order.created', state: 'paused' }, {}]);
    expect((await shop.act('POST', 'subscriptions/order.created/resume')).status).toBe(200);
    const odd = await shop.act('POST', `subscriptions/${encodeURIComponent('a/b c#%')}/pause`);
    expect(await odd.json()).toEqual({ error: expect.stringContaining('«name» is "a/b c#%"') });
    expect(await shop.get('subscriptions')).toMatchObject([{ name: 'order.created', state: 'consuming' }, {}]);
  });

  test('with a token there is a login page, a cookie that scripts cannot read, and a way out', async () => {
    const shop = await Shop.open({ platform, dashboard: { token: TOKEN } });
    expect((await shop.call('GET', '/messaging/api/v1/overview')).status).toBe(401);
    expect((await shop.call('GET', '/messaging/app.js')).status).toBe(401);
    const wrong = await shop.call('POST', '/messaging/login', { body: { token: 'another' }, headers: OWN });
    expect(wrong.status).toBe(403);
    const entered = await shop.call('POST', '/messaging/login', { body: { token: TOKEN }, headers: OWN });
    expect(entered.status).toBe(204);
    const cookie = entered.headers.get('set-cookie')!;
    expect(cookie).toMatch(/^nestjs-messaging-[\w-]{8}=\d+\.[\w-]+; Max-Age=43200; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(TOKEN);
    const session = { cookie: cookie.split(';')[0] };
    expect(await shop.get('overview', session)).toMatchObject({ status: 'up' });
    const forged = session.cookie.replace(/=.*/, '=9999999999.x');
    expect((await shop.call('GET', '/messaging/api/v1/overview', { headers: { cookie: forged } })).status).toBe(401);
    expect(await shop.get('overview', { authorization: `Bearer ${TOKEN}` })).toMatchObject({ status: 'up' });
    // A browser sends one host the cookies of all its ports.
    const other = await Shop.open({ platform, dashboard: { token: `${TOKEN}-of-another` } });
    const login = { body: { token: `${TOKEN}-of-another` }, headers: OWN };
    const second = (await other.call('POST', '/messaging/login', login)).headers.get('set-cookie')!.split(';')[0];
    const names = [cookie, second].map((one) => one.split('=')[0]);
    expect(new Set(names).size).toBe(2);
    expect(await shop.get('overview', { cookie: `${second}; ${session.cookie}` })).toMatchObject({ status: 'up' });
  });
});

describe('As a handler of Request and Response', () => {
  test('it answers below its path, whatever stands before it, and behind a proxy that takes the path away', async () => {
    const shop = await Shop.open();
    const handle = createDashboardHandler(shop.messaging, { insecure: true });
    for (const path of ['/messaging/api/v1/overview', '/tools/messaging/api/v1/overview', '/api/v1/overview'])
      expect((await handle(new Request(`http://shop.example${path}`))).status).toBe(200);
    handle.close();
  });

  test('it acts as the module does', async () => {
    const shop = await Shop.open();
    await shop.fail([{ id: 'a' }]);
    const handle = createDashboardHandler(shop.messaging, { insecure: true });
    const post = (path: string, body: object): Promise<Response> =>
      handle(
        new Request(`http://shop.example/messaging/api/v1/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json', ...OWN },
        }),
      );
    expect(await (await post('looks', { queue: 'shop:order.created:dlq' })).json()).toMatchObject({ count: 1 });
    const plan = await (await handle(new Request('http://shop.example/messaging/api/v1/plan'))).json();
    const { count, fingerprint } = plan as { count: number; fingerprint: string };
    const deleted = await post('dead-letters/delete', { filter: '', expected: { count, fingerprint } });
    expect(await deleted.json()).toEqual({ done: 1 });
    handle.close();
  });
});

describe('What is refused at boot', () => {
  const refused = (options: object): string => {
    try {
      MessagingDashboardModule.forRoot(options);
      return 'nothing';
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptionError);
      return (error as Error).message;
    }
  };

  test('no protection, more than one, and what is none, each with what to do', () => {
    expect(refused({})).toContain('«dashboard.guards» is undefined; allowed: guards: [AdminGuard], or token');
    expect(refused({ guards: [] })).toContain('guards: [AdminGuard]');
    expect(refused({ token: undefined })).toContain('Is an environment variable not set?');
    expect(refused({ token: 'short' })).toContain('32 characters or more');
    expect(refused({ token: 'short-secret' })).not.toContain('short-secret');
    expect(refused({ token: TOKEN, insecure: true })).toContain('more than one protection');
    expect(refused({ guards: ['admin'] })).toContain('classes or instances');
    expect(refused({ insecure: true, paht: '/x' })).toContain('Did you mean «path»?');
    expect(refused({ insecure: true, path: '/a?b' })).toContain('a path of plain names');
    expect(refused({ insecure: true, bodies: { show: 'all' } })).toContain("'never' | 'redacted' | 'full'");
    expect(refused({ insecure: true, bodies: { show: 'full', redact: ['a'] } })).toContain("show: 'redacted'");
    expect(refused({ insecure: true })).toBe('nothing');
  });

  test('no login in production', () => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = 'production';
    try {
      expect(refused({ insecure: true })).toContain('NODE_ENV is production');
    } finally {
      process.env.NODE_ENV = before;
    }
  });

  test('a connection that there is not, and options that are made later', async () => {
    await expect(Shop.open({ dashboard: { insecure: true, connection: 'other' } })).rejects.toThrow(
      'dashboard.connection',
    );
    const later = MessagingDashboardModule.forRootAsync({ useFactory: () => ({}) });
    await expect(Shop.open({ more: { imports: [later] } })).rejects.toThrow('dashboard.guards');
  });
});

test('what was shown has to be said with each action', async () => {
  const shop = await Shop.open();
  await shop.fail([{ id: 'a' }]);
  await shop.act('POST', 'looks', { queue: 'shop:order.created:dlq' });
  expect((await shop.act('POST', 'redrives', { filter: '' })).status).toBe(400);
  expect((await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { dryRun: true } })).status).toBe(202);
});
