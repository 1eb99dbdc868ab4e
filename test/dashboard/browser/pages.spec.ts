import { describe, expect } from '@jest/globals';
import { mkdirSync, writeFileSync } from 'node:fs';
import { waitFor } from '../../brokers/wait-for.js';
import { Shop, TOKEN } from '../support.js';
import { memory, MemoryBroker } from 'nestjs-messaging';
import { withBrowser } from './visit.js';

const DLQ = 'shop:order.created:dlq';
const PAGES = ['', 'fleet', 'subscriptions', 'queues', 'dead-letters', 'redrive', 'publisher', 'activity'];

const { inBrowser, visit, tools } = withBrowser();

async function look(shop: Shop): Promise<void> {
  await shop.act('POST', 'looks', { queue: DLQ });
}

describe('The pages in Chromium', () => {
  inBrowser('an address with the token logs in, and forgets it; logging out ends that', async () => {
    const { shop, page } = await visit({ dashboard: { token: TOKEN } });
    await page.goto(`${shop.url}/messaging`);
    await page.getByLabel('Token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('This is not the token').waitFor();
    await page.goto('about:blank');
    await page.goto(`${shop.url}/messaging#token=${TOKEN}`);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    expect(page.url()).not.toContain(TOKEN);
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Token').waitFor();
  });

  inBrowser(
    'from a failing handler to a redrive: look, group, dry run, a canary that fails, and the rest',
    async () => {
      const { shop, context, page, wrong, go } = await visit();
      await shop.fail(Array.from({ length: 5 }, (_, at) => ({ id: `o${at}` })));
      await go('dead-letters');
      await page.getByRole('button', { name: `Look into the queue: ${DLQ}` }).click();
      await page.getByRole('link', { name: 'StockError', exact: true }).click();
      await page.getByRole('link', { name: 'message-1', exact: true }).click();
      await page.getByText('“o0”').waitFor();
      await page.getByLabel('Stack').waitFor();
      await page.goBack();
      await page.getByRole('link', { name: 'Redrive 5…' }).click();
      await page.getByRole('button', { name: 'Dry run' }).click();
      await page.getByText('5 would be redriven.').waitFor();
      await page.getByRole('button', { name: 'Redrive 5' }).click();
      await page.getByText('stopped: canary').waitFor();
      shop.orders.fails = false;
      await shop.again(5);
      await page.getByRole('button', { name: 'Plan again' }).click();
      await page.getByLabel('Seconds in which none').fill('2');
      await page.getByRole('button', { name: 'Redrive 5' }).click();
      await page.close();
      await waitFor(() => shop.orders.handled.length === 5, 'all of them, while no page is open');
      const again = await context.newPage();
      await again.goto(`${shop.url}/messaging#/redrive`);
      await again.getByText('5 redriven, 0 failed.').waitFor();
      expect(wrong).toEqual([]);
    },
  );

  inBrowser('what came since it was shown is told, and nothing is done', async () => {
    const { shop, page, go } = await visit();
    await shop.fail([{ id: 'a' }]);
    await look(shop);
    await go('dead-letters?view=list');
    await page.getByRole('button', { name: 'Delete 1…' }).click();
    await shop.fail([{ id: 'b' }]);
    await look(shop);
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('alert').getByText('Nothing was done').waitFor();
    expect(await shop.messaging.deadLetters.count({ queue: DLQ })).toBe(2);
  });

  inBrowser('a process of the fleet is paused and resumed from the page of another', async () => {
    const broker = new MemoryBroker();
    const options = { transport: memory({ broker }), dashboard: { insecure: true, fleet: { secret: TOKEN } } };
    const other = await Shop.open(options);
    const { page, wrong, go } = await visit(options);
    await go('');
    await page.getByRole('link', { name: 'Fleet', exact: true }).click();
    const cards = page.locator('main section');
    await cards.nth(1).waitFor();
    expect(await cards.count()).toBe(2);
    const others = cards.filter({ hasNotText: 'this process' });
    const stateOf = (): string | undefined => other.messaging.health().consumers[0].state;
    await others.getByRole('button', { name: /^Pause order\.created of shop, .+:\d+$/ }).click();
    await others.getByText('«shop:order.created:queue» is paused').waitFor();
    expect(stateOf()).toBe('paused');
    await others.getByRole('button', { name: /^Resume order\.created/ }).click();
    await others.getByRole('button', { name: /^Pause order\.created/ }).waitFor();
    expect(stateOf()).toBe('consuming');
    expect(wrong).toEqual([]);
  });

  inBrowser(
    'with the keyboard alone: to the content, a pause, a dialog and out of it, and the focus is seen',
    async () => {
      const { shop, page, go } = await visit();
      await shop.fail([{ id: 'a' }]);
      await look(shop);
      await go('subscriptions');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.tagName')).toBe('H1');
      await page.keyboard.press('Tab');
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Resume order.created' }).waitFor();
      expect(await shop.get('subscriptions')).toMatchObject([{ state: 'paused' }, {}]);
      await go('dead-letters?view=list');
      const button = page.getByRole('button', { name: 'Delete 1…' });
      await button.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await button.evaluate((element: any) => element.ownerDocument.activeElement === element)).toBe(true);
    },
  );

  inBrowser(
    'hostile ids, headers, errors and bodies are text: no dialog, no request, nothing refused by the policy',
    async () => {
      const { shop, page, wrong, go } = await visit();
      const hostile = '<img src=http://evil.example/x onerror=alert(1)></script><script>alert(2)</script>';
      const turned = 'a\u202egnp.exe';
      await shop.failAs(
        `${hostile}`,
        { error: hostile, link: 'javascript:alert(3)', turned, id: hostile },
        { [`x-${turned}`]: hostile },
      );
      await look(shop);
      await go('dead-letters');
      await page.getByText(hostile).first().waitFor();
      await page.getByRole('link', { name: 'StockError', exact: true }).click();
      await page.getByRole('link', { name: hostile }).click();
      await page.getByText('javascript:alert(3)').waitFor();
      await page.getByText('a\\u202egnp.exe').first().waitFor();
      expect(await page.locator('main img, main script, main a[href^="javascript"]').count()).toBe(0);
      expect(wrong).toEqual([]);
    },
  );

  describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
    inBrowser('no page breaks a rule of WCAG 2.2 A and AA that axe knows, and none is wider than 320 px', async () => {
      const dashboard = {
        insecure: true,
        bodies: { show: 'full' },
        fleet: { secret: TOKEN, version: '1.4.0' },
      } as const;
      const { shop, page, wrong, go } = await visit({ dashboard }, { colorScheme, bypassCSP: true });
      await shop.fail([
        { id: 'a', customer: { name: 'Ada' } },
        { id: 'b', error: 'card declined' },
      ]);
      await look(shop);
      await shop.act('POST', 'subscriptions/order.created/pause');
      const plan = await shop.get('plan');
      const { count, fingerprint } = plan;
      await shop.act('POST', 'redrives', { filter: '', expected: { count, fingerprint }, options: { dryRun: true } });
      const { letters } = await shop.get('dead-letters');
      const all = [
        ...PAGES,
        'dead-letters?view=list',
        `dead-letters/${letters[0].key}`,
        'redrive?filter=reason:attempts-exhausted',
      ];
      for (const path of all) {
        await go(path);
        if (path.startsWith('dead-letters')) await page.locator('main table').first().waitFor();
        if (path === 'fleet') await page.getByText('this process').waitFor();
        if (path.startsWith('redrive?')) await page.getByRole('heading', { name: 'Plan' }).waitFor();
        await page.evaluate(tools.axe);
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
        const { violations } = await page.evaluate(`axe.run({ runOnly: ${JSON.stringify(tags)} })`);
        expect([path, violations.map(({ id, nodes }: any) => [id, nodes[0].html])]).toEqual([path, []]);
        await shot(page, path, colorScheme);
        await page.setViewportSize({ width: 320, height: 800 });
        expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, 320]);
        await page.setViewportSize({ width: 1_200, height: 800 });
      }
      expect(wrong).toEqual([]);
    });
  });
});

/** For docs/dashboard.md, where they are asked for. */
async function shot(page: any, path: string, scheme: string): Promise<void> {
  if (process.env.DASHBOARD_SCREENSHOTS !== '1' || scheme !== 'light') return;
  const name = path.startsWith('dead-letters/')
    ? 'dead-letter'
    : path.includes('view=')
      ? 'list'
      : path.replace(/\?.*/, '') || 'overview';
  if (path === 'redrive') return;
  mkdirSync('docs/dashboard', { recursive: true });
  await page.setViewportSize({ width: 900, height: 640 });
  writeFileSync(`docs/dashboard/${name}.png`, await page.screenshot({ scale: 'css' }));
}
