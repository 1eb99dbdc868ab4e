import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exponential } from 'nestjs-messaging';
import { COMMANDS } from '../../lib/cli/command-list.js';
import { helpOf } from '../../lib/cli/help.js';
import { REFUSALS } from '../../lib/requeue/refusal.js';
import { DELIVERY_HEADERS, REQUEST_HEADERS } from '../../lib/requeue/requeue-headers.js';
import { backoffOf } from '../../lib/requeue/requeue-meta.js';
import { REQUEUE_DEFAULTS } from '../../lib/requeue/requeue-options.js';
import { describeNats } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { CapturedLog } from '../e2e/support/application.js';
import { TestService } from '../requeue/support/service.js';
import { code, Markdown } from './markdown.js';
import { scratchFolder, typeErrors } from './type-check.js';

const doc = Markdown.read('docs/requeue.md');
const write = scratchFolder('requeue');
const [clientCode, moduleCode] = doc.blocks('ts').map(({ code: text }) => text);
const clientFile = write(
  'client.ts',
  `${[...clientCode.matchAll(/^import .*;$/gm)].map(([line]) => line).join('\n')}
export default async function (servers: string): Promise<void> {
${clientCode.replace(/^import .*;$/gm, '')}
}`,
);
const moduleFile = write('module.ts', moduleCode);

describe('docs/requeue.md', () => {
  test('has the guarantee in its first sentence', () => {
    const [, first] = doc.text.split('\n\n');
    expect(first).toMatch(/^A message that the requeue service has acknowledged is on its disk/);
  });

  test('its code has the right types', () => {
    const errors = typeErrors([clientFile, moduleFile]);
    expect([...errors.values()].flat()).toEqual([]);
  }, 120_000);

  test('its flags are those of the command, with their defaults, and so are the options', () => {
    const requeue = COMMANDS.find(({ name }) => name === 'requeue')!;
    const rows = doc.section('Options').table();
    expect(rows.map(({ flag }) => code(flag))).toEqual([...requeue.flags.map(({ name }) => `--${name}`), '--help']);
    for (const { name, default: otherwise } of requeue.flags) {
      const row = rows.find(({ flag }) => flag === `\`--${name}\``)!;
      expect({ name, default: row.default }).toEqual({
        name,
        default: otherwise === undefined ? '' : `\`${otherwise}\``,
      });
      expect(helpOf(requeue)).toContain(`--${name} <`);
    }
    const options = rows.map(({ option }) => option).filter((option) => option !== '');
    expect(options.map(code).sort()).toEqual(
      [...Object.keys(REQUEUE_DEFAULTS), 'credsFile', 'dataDir', 'deadLetters.maxAge', 'deadLetters.maxCount'].sort(),
    );
  });

  test('its headers are those of the code', () => {
    const documented = (title: string) =>
      doc
        .section(title)
        .table()
        .map(({ header }) => code(header));
    expect(documented('Headers of a request')).toEqual(Object.values(REQUEST_HEADERS));
    expect(documented('Subscribing')).toEqual(Object.values(DELIVERY_HEADERS));
    const defaults = Object.fromEntries(
      doc
        .section('Headers of a request')
        .table()
        .map((row) => [code(row.header), row.default.replaceAll('`', '')]),
    );
    const told = exponential({
      initial: Number(defaults['Requeue-Backoff-Initial']),
      factor: Number(defaults['Requeue-Backoff-Factor']),
      max: Number(defaults['Requeue-Backoff-Max']),
      jitter: 0,
    });
    for (const attempt of [1, 2, 5, 50])
      expect(backoffOf({ jitter: 0 })(attempt, undefined)).toBe(told(attempt, undefined));
  });

  test('its error replies are those of the code', () => {
    const rows = doc.section('Error replies').table();
    const documented = rows.map((row) => [
      code(row.code),
      { status: Number(row.number), retryable: row.retry === 'yes' },
    ]);
    expect(Object.fromEntries(documented)).toEqual(REFUSALS);
  });

  describeNats('its examples', (nats) => {
    let url: string;
    beforeAll(async () => {
      url = await nats.url();
    });

    test('of a client hand messages over', async () => {
      const service = await TestService.start({ servers: url });
      const { default: run } = (await import(clientFile)) as { default: (servers: string) => Promise<void> };
      await run(url);
      expect(service.server.stats()).toMatchObject({ depth: 2, queues: [{ queue: 'default', depth: 2 }] });
    });

    test('in raw protocol hands a message over, and is answered', async () => {
      const service = await TestService.start({ servers: url });
      const { hostname, port } = new URL(url);
      const [{ code: raw }] = doc.blocks('text');
      let answer = '';
      const socket = connectSocket(Number(port), hostname);
      socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
      socket.write(raw.replaceAll('\n', '\r\n'));
      await waitFor(
        () => /MSG reply\.1 1 \d+\r\n\{"id":"[^"]+","queue":"default"\}/.test(answer),
        `a reply in ${answer}`,
      );
      socket.destroy();
      expect(service.server.stats().depth).toBe(1);
    });

    describe('of a module', () => {
      const directory = mkdtempSync(join(tmpdir(), 'requeue-doc-'));
      const before = { ...process.env };
      afterAll(() => {
        process.env = before;
        rmSync(directory, { recursive: true, force: true });
      });

      test('starts', async () => {
        Object.assign(process.env, { NATS_URL: url, DATA_DIR: directory });
        const { Test } = await import('@nestjs/testing');
        const { RequeueService } = await import('nestjs-messaging/requeue');
        const { AppModule, status } = await import(write(`module-${nats.version}.ts`, moduleCode));
        const app = await (
          await Test.createTestingModule({ imports: [AppModule] })
            .setLogger(new CapturedLog())
            .compile()
        ).init();
        const [health, depth] = status(app.get(RequeueService));
        await app.close();
        expect([health, depth]).toEqual(['up', 0]);
      });
    });
  });
});
