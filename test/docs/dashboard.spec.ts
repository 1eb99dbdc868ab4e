import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Messaging } from 'nestjs-messaging';
import { closeShops, OWN, Shop, TOKEN } from '../dashboard/support.js';
import { Markdown } from './markdown.js';
import { scratchFolder, typeErrors } from './type-check.js';

const page = Markdown.read('docs/dashboard.md');
const write = scratchFolder('dashboard');
const [serverBlock] = page.section("Without Nest's HTTP").blocks('ts');
const serverFile = write('server.ts', serverBlock.code);

type DashboardServer = (messaging: Messaging, token: string) => { readonly server: Server; readonly close: () => void };

afterEach(closeShops);

describe('docs/dashboard.md', () => {
  test('its code has the right types', () => {
    const files = page.blocks('ts').map(({ code, line }) => write(`block-${line}.ts`, code));
    expect([...typeErrors(files).values()].flat()).toEqual([]);
  }, 120_000);

  test('its server on plain node:http logs in, shows a snapshot, acts, and ends beside an open page', async () => {
    const shop = await Shop.open();
    const { dashboardServer } = (await import(serverFile)) as { dashboardServer: DashboardServer };
    const { server, close } = dashboardServer(shop.messaging, TOKEN);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/messaging`;
    const post = (path: string, body: object, cookie = ''): Promise<Response> =>
      fetch(base + path, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { ...OWN, cookie, 'content-type': 'application/json' },
      });
    expect((await fetch(`${base}/api/v1/snapshot`)).status).toBe(401);
    const login = await post('/login', { token: TOKEN });
    expect(login.status).toBe(204);
    const cookie = login.headers.get('set-cookie')!.split(';')[0];
    const snapshot = await fetch(`${base}/api/v1/snapshot`, { headers: { cookie } });
    expect(await snapshot.json()).toMatchObject({ overview: { service: 'shop' }, subscriptions: [{}, {}] });
    expect((await post('/api/v1/subscriptions/order.created/pause', {}, cookie)).status).toBe(200);
    expect(shop.messaging.health().consumers.map(({ state }) => state)).toEqual(['paused', 'consuming']);
    const live = await fetch(`${base}/api/v1/live`, { headers: { cookie } });
    const reader = live.body!.getReader();
    expect((await reader.read()).done).toBe(false);
    const ended = new Promise((closed) => server.once('close', closed));
    close();
    expect((await reader.read()).done).toBe(true);
    server.closeIdleConnections();
    await ended;
  });
});
