import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { answer, empty } from '../web/answers.js';
import type { WebCall } from '../web/request-checks.js';
import { uiAssets } from './ui-assets.js';

const compress = promisify(gzip);
const HTML = { 'content-type': 'text/html; charset=utf-8' };
const packed = new Map<string, Promise<Buffer>>();

/** Without the token, too: they hold no more than the login page. */
export const PUBLIC_FILES = ['login.js', 'app.css'];

/** The page that a script makes everything of. Its base is relative, whatever stands before the path. */
export function page(script: 'app.js' | 'login.js', call: WebCall, mount: string): Response {
  if (!Object.hasOwn(uiAssets, script))
    return answer(503, 'The pages of the dashboard are not built: npm run build', {});
  const base = call.inFolder ? './' : `${mount.split('/').at(-1)}/`;
  return answer(
    script === 'app.js' ? 200 : 401,
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Messaging</title>
<base href="${base}">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="app.css?${version('app.css')}">
<script type="module" src="${script}?${version(script)}"></script>
</head>
<body><div id="app"></div></body>
</html>
`,
    HTML,
  );
}

/** A file of the pages; undefined where there is none of that name. */
export async function file(name: string, call: WebCall): Promise<Response | undefined> {
  if (!Object.hasOwn(uiAssets, name)) return undefined;
  const { type, text } = uiAssets[name];
  // The name in the page changes with what the file holds.
  const kept = call.search.has(version(name)) ? 'private, max-age=31536000, immutable' : 'no-cache';
  const headers = { 'content-type': type, 'cache-control': kept, etag: `"${version(name)}"`, vary: 'accept-encoding' };
  if (call.header('if-none-match') === headers.etag) return empty(304, headers);
  if (!call.header('accept-encoding')?.includes('gzip')) return answer(200, text, headers);
  let bytes = packed.get(name);
  if (!bytes) packed.set(name, (bytes = compress(text, { level: 9 })));
  return answer(200, await bytes, { ...headers, 'content-encoding': 'gzip' });
}

function version(name: string): string {
  return createHash('sha256').update(uiAssets[name].text).digest('hex').slice(0, 12);
}
