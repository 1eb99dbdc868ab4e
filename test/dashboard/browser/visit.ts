import { afterAll, afterEach, beforeAll, test } from '@jest/globals';
import { closeShops, Shop, type ShopOptions } from '../support.js';
import { chromium, mayHaveChromium } from './chromium.js';

/** A page in a browser, and the application that serves it. */
export interface Visit {
  readonly shop: Shop;
  readonly context: any;
  readonly page: any;
  /** What should not happen: messages of the console, dialogs, requests to elsewhere. */
  readonly wrong: string[];
  go(path: string): Promise<void>;
}

/** One browser for the tests of a file; what they open is closed after each. */
export function withBrowser() {
  let browser: any;
  const tools = { axe: '' };
  const contexts: any[] = [];

  beforeAll(async () => {
    const found = await chromium();
    if (found.reason !== undefined) return;
    tools.axe = found.axe;
    browser = await found.open();
  }, 600_000);

  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    await closeShops();
  });

  afterAll(async () => browser?.close());

  /** Where there is no browser that is said loudly, and with REQUIRE_BROWSER=1 it has failed before. */
  function inBrowser(name: string, run: () => Promise<void>): void {
    (mayHaveChromium() ? test : test.skip)(
      name,
      async () => {
        if (browser) await run();
      },
      120_000,
    );
  }

  async function visit(options: ShopOptions = {}, more: object = {}): Promise<Visit> {
    const dashboard = options.dashboard ?? { insecure: true, bodies: { show: 'full' } };
    const shop = await Shop.open({ ...options, dashboard });
    const context = await browser.newContext({ viewport: { width: 1_200, height: 800 }, ...more });
    contexts.push(context);
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on('console', (message: any) => message.type() === 'error' && wrong.push(message.text()));
    page.on('pageerror', (error: Error) => wrong.push(error.message));
    page.on('dialog', (dialog: any) => (wrong.push(dialog.message()), dialog.dismiss()));
    const isOurs = (url: string): boolean => url.startsWith(shop.url) || url.startsWith('data:');
    page.on('request', (request: any) => !isOurs(request.url()) && wrong.push(request.url()));
    const go = async (path: string): Promise<void> => {
      await page.goto(`${shop.url}/messaging#/${path}`);
      await page.locator('main h1').waitFor();
    };
    return { shop, context, page, wrong, go };
  }

  return { inBrowser, visit, tools };
}
