import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { main } from '../../lib/cli/main.js';

const folder = mkdtempSync(join(tmpdir(), 'asyncapi-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bin = resolve(__dirname, '../../dist/cli.js');
const app = ['--app', resolve(__dirname, 'app/app.module.mjs')];

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** In this process. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const into = (list: string[]): any => ({ write: (text: string) => list.push(text) });
  const code = await main(['asyncapi', ...args], { stdout: into(out), stderr: into(err), env: {}, version: '1.0.0' });
  return { code, out: out.join(''), err: err.join('') };
}

/** As users do. */
function process_(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [bin, 'asyncapi', ...args], (error, out, err) => {
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

describe('an application of its own process, without its broker', () => {
  const committed = join(folder, 'asyncapi.json');

  test('export writes its document, check finds it the same, and another one not', async () => {
    expect(await process_('export', ...app, '--app-version', '2.0.0', '--out', committed)).toMatchObject({
      code: 0,
      err: expect.stringContaining('No schema: Orders.created: order.created'),
    });
    const document = JSON.parse(readFileSync(committed, 'utf8'));
    expect(document).toMatchObject({ info: { title: 'shop', version: '2.0.0' }, operations: { 'Orders.created': {} } });
    expect(JSON.stringify(document)).not.toContain('hunter2');
    const check = ['check', ...app, '--app-version', '2.0.0', '--against'];
    expect(await process_(...check, committed)).toMatchObject({ code: 0 });
    document.operations = {};
    expect(await process_(...check, file('stale.json', document))).toMatchObject({
      code: 1,
      err: expect.stringMatching(/is not that of the application any more[^]*receive shop:order\.created:queue added/),
    });
  });

  test('what it is called with wrongly is told', async () => {
    expect((await process_('export', ...[app[0], `${app[1]}#Other`])).err).toContain('exports no class «Other»; there are: AppModule'); // prettier-ignore
    expect(await process_('export', ...app, '--strict')).toMatchObject({ code: 2, err: expect.stringContaining('Orders.created') }); // prettier-ignore
    expect(await run('export')).toMatchObject({ code: 2, err: expect.stringContaining('--app is required') });
    expect((await run('export', '--app', 'nowhere.js')).err).toContain('build the application first');
    expect(await run('check', ...app)).toMatchObject({ code: 2, err: expect.stringContaining('--against is required') }); // prettier-ignore
    expect(await run('check', ...app, '--against', join(folder, 'nowhere.json'))).toMatchObject({ code: 2, err: expect.stringContaining('--against cannot be read') }); // prettier-ignore
  });

  test('a file that is broken, an application that cannot be made, and a place where nothing can be written', async () => {
    const other = (name: string): string[] => ['--app', `${resolve(__dirname, '../topology/app/others.module.mjs')}#${name}`]; // prettier-ignore
    expect(await process_('check', ...app, '--against', file('half.json', '{"a":'))).toMatchObject({ code: 2, err: expect.stringContaining('--against is no JSON') }); // prettier-ignore
    expect(await process_('export', ...other('Empty'))).toMatchObject({ code: 1, out: '', err: expect.stringContaining('There is no MessagingModule') }); // prettier-ignore
    const failing = await process_('export', ...other('Failing'));
    expect(failing).toMatchObject({ code: 1, out: '', err: expect.stringContaining('The address of the broker is not set') }); // prettier-ignore
    expect(failing.err).not.toContain('hunter2');
    expect(await process_('export', '--app', file('broken.cjs', 'module.exports = {'))).toMatchObject({ code: 2, out: '', err: expect.stringContaining('cannot be loaded') }); // prettier-ignore
    expect(await process_('export', ...other('Embedded'), '--out', join(folder, 'nowhere/a.json'))).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--out cannot be written') }); // prettier-ignore
  }, 60_000);
});

describe('diff', () => {
  const documentOf = (payload: object): object => ({
    asyncapi: '3.1.0',
    channels: { a: { address: 'a' } },
    operations: {
      s: { action: 'send', channel: { $ref: '#/channels/a' }, messages: [{ $ref: '#/components/messages/m' }] },
    },
    components: { messages: { m: { name: 'm', payload } } },
  });
  const old = file('old.json', documentOf({ type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }));
  const broken = file('broken.json', documentOf({ type: 'object', properties: { a: { type: 'string' } } }));
  const added = file('added.json', documentOf({ type: 'object', properties: { a: { type: 'string' }, b: {} }, required: ['a'] })); // prettier-ignore
  const odd = file('odd.json', documentOf({ type: 'object', properties: { a: {} }, required: ['a'] }));
  const between = (from: string, to: string, ...more: string[]) => run('diff', '--from', from, '--to', to, ...more);

  test('fails for what breaks, and for nothing else unless it is told to', async () => {
    expect(await between(old, broken)).toMatchObject({ code: 1, out: expect.stringMatching(/^BREAKS {3}send a m \/a breaks: /) }); // prettier-ignore
    expect(await between(old, broken, '--fail-on', 'never')).toMatchObject({ code: 0 });
    expect(await between(old, added)).toMatchObject({ code: 0, out: expect.stringMatching(/^ok {7}send a m \/b/) });
    expect(await between(old, added, '--fail-on', 'any')).toMatchObject({ code: 1 });
    expect(await between(old, old, '--fail-on', 'any')).toMatchObject({ code: 0, out: 'No changes\n' });
  });

  test('what cannot be judged fails with --strict only', async () => {
    expect(await between(old, odd)).toMatchObject({ code: 0, out: expect.stringMatching(/^UNKNOWN/) });
    expect(await between(old, odd, '--strict')).toMatchObject({ code: 1 });
  });

  test('a break that was accepted does not fail, and one that is not there any more is told', async () => {
    const accepted = file('accepted.json', [
      { change: 'send a m /a breaks', reason: 'nobody reads it', date: '2026-11-30' },
      { change: 'send b', reason: 'old', date: '2026-11-30' },
    ]);
    expect(await between(old, broken, '--accepted', accepted)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^accepted .*; accepted: nobody reads it \(2026-11-30\)/),
      err: 'Accepted, and not changed: send b\n',
    });
    for (const [entry, named] of [
      [{ change: 'a', date: '2026-11-30' }, 'accepted[0].reason'],
      [{ change: 'a', reason: 'b', date: 'yesterday' }, 'accepted[0].date'],
    ] as const)
      expect(await between(old, broken, '--accepted', file('wrong.json', [entry]))).toMatchObject({ code: 2, err: expect.stringContaining(named) }); // prettier-ignore
  });

  test('each format says the same', async () => {
    const told = async (format: string): Promise<string> => (await between(old, broken, '--format', format)).out;
    expect(JSON.parse(await told('json'))).toMatchObject([{ verdict: 'breaks', id: 'send a m /a breaks' }]);
    expect(await told('markdown')).toMatch(/^\| verdict \|.*\n\|---\|---\|---\|\n\| BREAKS \| send a m \/a breaks \|/);
    expect(await told('github')).toMatch(/^::error file=[^:]*broken\.json,title=send a m \/a breaks::what is sent/);
    expect(JSON.parse(await told('sarif'))).toMatchObject({
      version: '2.1.0',
      runs: [{ tool: { driver: { name: 'nestjs-messaging' } }, results: [{ ruleId: 'breaks', level: 'error' }] }],
    });
  });

  test('wrong usage is told', async () => {
    for (const [args, told] of [
      [['--from', old], '--to is required'],
      [['--from', join(folder, 'none.json'), '--to', old], '--from cannot be read as JSON'],
      [['--from', file('text.json', '{"a":'), '--to', old], '--from cannot be read as JSON'],
      [['--from', file('other.json', {}), '--to', old], 'The old document is no AsyncAPI 3 document'],
      [['--from', old, '--to', old, '--format', 'xml'], '--format is «xml»; allowed: text, json'],
      [['--from', old, '--to', old, '--fail-on', 'all'], '--fail-on is «all»; allowed: breaking'],
    ] as const)
      expect(await run('diff', ...args)).toMatchObject({ code: 2, err: expect.stringContaining(told) });
  });
});
