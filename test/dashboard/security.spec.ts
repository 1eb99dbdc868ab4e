import { afterEach, describe, expect, test } from '@jest/globals';
import { role } from 'nestjs-messaging/dashboard';
import { waitFor } from '../brokers/wait-for.js';
import { closeShops, OWN, seen, Shop, TOKEN } from './support.js';

afterEach(closeShops);

const DLQ = 'shop:order.created:dlq';
const look = (shop: Shop): Promise<Response> => shop.act('POST', 'looks', { queue: DLQ });

async function lettersOf(shop: Shop, filter = ''): Promise<any[]> {
  return (await shop.get(`dead-letters?filter=${encodeURIComponent(filter)}`)).letters;
}

test('every answer has the headers that keep a page from being framed, sniffed, and fed with foreign scripts', async () => {
  const shop = await Shop.open({ dashboard: { token: TOKEN } });
  for (const [path, headers] of [
    ['/messaging', {}],
    ['/messaging/api/v1/overview', {}],
    ['/messaging/api/v1/overview', { authorization: `Bearer ${TOKEN}` }],
    ['/messaging/nothing', { authorization: `Bearer ${TOKEN}` }],
  ] as const) {
    const answer = await shop.call('GET', path, { headers });
    const csp = answer.headers.get('content-security-policy')!;
    expect(csp).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(csp).toContain("frame-ancestors 'none'");
    expect(csp).not.toContain('unsafe');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  }
});

describe('Actions from elsewhere', () => {
  const path = '/messaging/api/v1/subscriptions/order.created/pause';
  const own = { 'x-nestjs-messaging': '1' };
  test.each([
    ['another site', { ...own, 'sec-fetch-site': 'cross-site' }, 403],
    ['another application of the site', { ...own, 'sec-fetch-site': 'same-site' }, 403],
    ['an address that somebody typed', { ...own, 'sec-fetch-site': 'none' }, 403],
    ['nobody knows where', own, 403],
    ['another origin', { ...own, origin: 'http://evil.example' }, 403],
    ['an origin that is none', { ...own, origin: 'null' }, 403],
    ['the page, without the header of its own', { 'sec-fetch-site': 'same-origin' }, 403],
    ['a form', { ...OWN, 'content-type': 'text/plain' }, 415],
    ['the page', OWN, 200],
  ])('%s', async (_, headers, status) => {
    const shop = await Shop.open();
    expect((await shop.call('POST', path, { body: '{}', headers })).status).toBe(status);
    expect(await shop.get('subscriptions')).toMatchObject([{ state: status === 200 ? 'paused' : 'consuming' }, {}]);
  });

  test('where a browser does not say the site, an Origin equal to the host will do', async () => {
    const shop = await Shop.open();
    expect((await shop.call('POST', path, { body: '{}', headers: { ...own, origin: shop.url } })).status).toBe(200);
  });

  test('a login of another site, which would make its visitor somebody else', async () => {
    const shop = await Shop.open({ dashboard: { token: TOKEN } });
    const login = { body: { token: TOKEN }, headers: { ...OWN, 'sec-fetch-site': 'cross-site' } };
    expect((await shop.call('POST', '/messaging/login', login)).status).toBe(403);
  });

  test('methods that there are not, bodies that are too large, and what is no object of JSON', async () => {
    const shop = await Shop.open();
    expect((await shop.call('PUT', path, { body: '{}', headers: OWN })).status).toBe(405);
    expect((await shop.call('POST', path, { body: { name: 'x'.repeat(70_000) }, headers: OWN })).status).toBe(413);
    expect((await shop.call('POST', path, { body: '[1]', headers: OWN })).status).toBe(400);
    expect((await shop.act('POST', 'redrives', { filter: 7, expected: {} })).status).toBe(400);
    expect((await shop.act('POST', 'redrives', { filtre: '' })).status).toBe(400);
  });
});

test('after ten wrong tokens others have to wait, but nobody keeps out who has the right one, or is in already', async () => {
  const shop = await Shop.open({ dashboard: { token: TOKEN } });
  const login = (token: string): Promise<Response> =>
    shop.call('POST', '/messaging/login', { body: { token }, headers: OWN });
  const cookie = (await login(TOKEN)).headers.get('set-cookie')!.split(';')[0];
  for (let n = 0; n < 10; n++) expect((await login(`wrong ${n}`)).status).toBe(403);
  expect((await login('wrong again')).status).toBe(429);
  for (const headers of [{ cookie }, { authorization: `Bearer ${TOKEN}` }] as const)
    expect((await shop.call('GET', '/messaging/api/v1/overview', { headers })).status).toBe(200);
  expect((await login(TOKEN)).status).toBe(204);
});

describe('Roles', () => {
  test('a button is not what keeps somebody from an action: each is refused without its permission', async () => {
    const shop = await Shop.open({ dashboard: { insecure: true, access: () => role.viewer } });
    await shop.fail([{ id: 'a' }]);
    const actions = {
      look: await look(shop),
      pause: await shop.act('POST', 'subscriptions/order.created/pause'),
      pauseEverywhere: await shop.act('POST', 'subscriptions/order.created/pause-everywhere'),
      resumeEverywhere: await shop.act('POST', 'subscriptions/order.created/resume-everywhere'),
      redrive: await shop.act('POST', 'redrives', await seen(shop)),
      stop: await shop.act('DELETE', 'redrives/x'),
      delete: await shop.act('POST', 'dead-letters/delete', await seen(shop)),
    };
    for (const [name, answer] of Object.entries(actions)) {
      expect([name, answer.status]).toEqual([name, 403]);
      expect(((await answer.json()) as { error: string }).error).toContain('it needs «');
    }
    expect(await shop.get('activity')).toEqual([]);
  });

  test('an operator may not delete, and nobody who is refused sees anything', async () => {
    const shop = await Shop.open({
      dashboard: {
        insecure: true,
        access: async ({ headers }) => headers['x-role'] === 'operator' && role.operator,
        operator: ({ headers }) => headers['x-role'] as string,
      },
    });
    const operator = { 'x-role': 'operator' };
    expect((await shop.call('GET', '/messaging')).status).toBe(403);
    expect((await shop.call('GET', '/messaging/api/v1/overview')).status).toBe(403);
    expect((await shop.act('POST', 'subscriptions/order.created/pause', {}, operator)).status).toBe(200);
    expect((await shop.act('POST', 'dead-letters/delete', {}, operator)).status).toBe(403);
    expect(await shop.get('activity', operator)).toMatchObject([
      { operator: 'operator', action: 'pause', subject: 'order.created' },
    ]);
  });

  test.each([
    ['throws', () => Promise.reject(new Error('no'))],
    ['hangs', () => new Promise<never>(() => undefined)],
    ['names a permission that there is not', () => ({ redirve: true }) as never],
  ])('«access» that %s lets nobody in', async (_, access) => {
    const shop = await Shop.open({ dashboard: { insecure: true, access } });
    const refused = await shop.call('GET', '/messaging/api/v1/overview');
    expect([refused.status, await refused.text()]).toEqual([403, '']);
  });
});

describe('Bodies and headers', () => {
  const order = {
    id: 'a',
    password: 'hunter2',
    customer: { email: 'ada@example.com', card: { number: '4111 1111 1111 1111' } },
    lines: [{ item: 'book', quantity: 2 }],
  };

  async function detail(dashboard: object, access: object = role.all): Promise<any> {
    const shop = await Shop.open({ dashboard: { insecure: true, access: () => access, ...dashboard } });
    await shop.fail([order], 'order.created', { authorization: 'Bearer abc', apiToken: 'xyz', tenant: '7' });
    const looker = await Shop.prototype.act.call(shop, 'POST', 'looks', { queue: DLQ });
    if (!looker.ok) return { looked: looker.status };
    const [{ key }] = await lettersOf(shop);
    const text = await (await shop.call('GET', `/messaging/api/v1/dead-letters/${key}`)).text();
    return { text, ...JSON.parse(text) };
  }

  test('by default the shape is seen, and no value leaves the process', async () => {
    const { text, body, headers } = await detail({});
    for (const secret of ['hunter2', 'ada@', '4111', 'book', 'Bearer abc', 'xyz']) expect(text).not.toContain(secret);
    expect(body.json[1]).toContainEqual(['password', ['hidden', 'string, 7']]);
    expect(headers).toContainEqual(['authorization', '‹hidden›']);
    expect(headers).toContainEqual(['apiToken', '‹hidden›']);
    expect(headers).toContainEqual(['tenant', '7']);
  });

  test('names, patterns and paths are hidden at any depth, and what looks like a secret always is', async () => {
    const { text } = await detail({ bodies: { redact: ['NUMBER', /^item$/, '$.customer.email'] } });
    for (const secret of ['hunter2', 'ada@', '4111', 'book']) expect(text).not.toContain(secret);
    expect(text).toContain('["quantity",["value",2]]');
  });

  test('everything, where that was asked for', async () => {
    const { text } = await detail({ bodies: { show: 'full' } });
    for (const value of ['hunter2', 'ada@', '4111', 'book', 'Bearer abc']) expect(text).toContain(value);
  });

  test('nothing with «never», without the permission, and of what is too large', async () => {
    expect((await detail({ bodies: { show: 'never' } })).body.hidden).toContain('bodies.show: never');
    expect((await detail({ bodies: { show: 'full' } }, { ...role.all, bodies: false })).body).toEqual({
      bytes: expect.any(Number),
      hidden: 'You may not see bodies',
    });
    expect((await detail({ bodies: { show: 'full', maxBytes: 10 } })).body.hidden).toMatch(/Larger than|Too large/);
  });

  test('a search tells nothing that is hidden', async () => {
    const shop = await Shop.open({
      dashboard: {
        insecure: true,
        bodies: { redact: ['number'] },
        access: ({ headers }) => (headers['x-role'] === 'viewer' ? { look: true } : role.all),
      },
    });
    await shop.fail([order], 'order.created', { authorization: 'Bearer abc' });
    await look(shop);
    const found = async (filter: string): Promise<number> => (await lettersOf(shop, filter)).length;
    expect(await found('body.lines.0.item:book')).toBe(1);
    expect(await found('text:book')).toBe(1);
    for (const hidden of [
      'body.password:hunter2',
      'text:hunter2',
      'text:"4111 1111"',
      'header.authorization:"Bearer abc"',
    ])
      expect([hidden, await found(hidden)]).toEqual([hidden, 0]);
    const viewer = { headers: { 'x-role': 'viewer' } };
    const answer = await shop.call('GET', '/messaging/api/v1/dead-letters?filter=body.id:a', viewer);
    expect(answer.status).toBe(400);
    const text = await shop.call('GET', '/messaging/api/v1/dead-letters?filter=text:book', viewer);
    expect(await text.json()).toMatchObject({ count: 0 });
  });

  test('what is no JSON is shown as text or as bytes where everything is shown, and not at all otherwise', async () => {
    for (const [show, expected] of [
      ['full', { bytes: 4, hex: '00ff1020' }],
      ['redacted', { bytes: 4, hidden: expect.stringContaining('Not JSON') }],
    ] as const) {
      const shop = await Shop.open({ dashboard: { insecure: true, bodies: { show } } });
      await shop.fail([Buffer.from([0, 255, 16, 32])], 'invoice.paid');
      await shop.act('POST', 'looks', { queue: 'shop:invoice.*:dlq' });
      const [{ key }] = await lettersOf(shop);
      expect((await shop.get(`dead-letters/${key}`)).body).toEqual(expected);
    }
  });

  test('hostile bodies: names of prototypes, deep nesting, huge ones', async () => {
    const shop = await Shop.open({ dashboard: { insecure: true, bodies: { show: 'full' } } });
    const deep = `${'['.repeat(500)}${']'.repeat(500)}`;
    await shop.fail([
      Buffer.from('{"__proto__":{"isAdmin":true},"constructor":1}'),
      Buffer.from(deep),
      Buffer.from(JSON.stringify('x'.repeat(10_000_000))),
      Buffer.from(`[${'1,'.repeat(20_000)}1]`),
    ]);
    await look(shop);
    const bodies = await Promise.all(
      (await lettersOf(shop)).map(async ({ key }) => (await shop.get(`dead-letters/${key}`)).body),
    );
    expect(bodies).toContainEqual({
      bytes: 46,
      json: [
        'object',
        [
          ['__proto__', ['object', [['isAdmin', ['value', true]]]]],
          ['constructor', ['value', 1]],
        ],
      ],
    });
    expect(bodies).toContainEqual({ bytes: 1_000, text: deep });
    expect(bodies).toContainEqual({ bytes: 10_000_002, hidden: expect.stringContaining('large') });
    expect(bodies.find(({ json }) => json?.[0] === 'array').json[2]).toBeGreaterThan(10_000);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });
});

test('neither a line of the log nor an answer to a mistake holds anything of a body', async () => {
  const shop = await Shop.open({ dashboard: { insecure: true } });
  await shop.fail([{ id: 'a', note: 'confidential' }]);
  await look(shop);
  await shop.act('POST', 'redrives', { ...(await seen(shop)), options: { dryRun: true } });
  await waitFor(async () => (await shop.get('redrives'))[0].state === 'ended', 'the dry run');
  expect(shop.log.lines.filter((line) => line.includes('Dashboard:'))).toHaveLength(2);
  expect(shop.log.lines.join('\n')).not.toContain('confidential');
});
