import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from '@jest/globals';
import { uiAssets } from '../../lib/dashboard/ui-assets.js';
import { closeShops, Shop } from './support.js';

afterEach(closeShops);

test('the first page comes with at most 60 kB, compressed, and nothing else is loaded for it', async () => {
  const shop = await Shop.open();
  const html = await (await shop.call('GET', '/messaging')).text();
  const names = [...html.matchAll(/(?:src|href)="((?!data:|\.\/)[^"]+\.(?:js|css)[^"]*)"/g)].map(([, name]) => name);
  expect(names.map((name) => name.split('?')[0]).sort()).toEqual(['app.css', 'app.js']);
  let bytes = gzipSync(html).length;
  for (const name of names) {
    const answer = await shop.call('GET', `/messaging/${name}`, { headers: { 'accept-encoding': 'gzip' } });
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    const text = await answer.text();
    expect(text).not.toMatch(/\bimport\(|@import|url\(/);
    bytes += gzipSync(text).length;
  }
  expect(bytes).toBeLessThanOrEqual(60_000);
});

test('the pages make the package larger by at most 400 kB', () => {
  expect(Buffer.byteLength(JSON.stringify(uiAssets))).toBeLessThanOrEqual(400_000);
});
