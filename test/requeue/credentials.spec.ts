import { copyFileSync, readFileSync } from 'node:fs';
import { credsAuthenticator } from '@nats-io/transport-node';
import { expect, jest, test } from '@jest/globals';
import type { NatsServer } from '../brokers/nats/server.js';
import { describeNatsNode } from '../brokers/nats.js';
import { Operator } from '../nats/operator.js';
import { Cli } from './support/process.js';
import { dataDirectory, TestClient } from './support/service.js';

jest.setTimeout(120_000);

describeNatsNode('the requeue process with a creds file, on a server with an operator', (nats) => {
  async function operated(): Promise<{ server: NatsServer; operator: Operator; client: TestClient }> {
    const operator = new Operator();
    const server = await nats.start({ jetstream: false, conf: operator.conf });
    const authenticator = credsAuthenticator(readFileSync(operator.creds().path));
    return {
      server,
      operator,
      client: await TestClient.connect(server.url, { authenticator, ignoreAuthErrorAbort: true }),
    };
  }

  test('keeps and delivers messages, and its log shows nothing of the file', async () => {
    const { server, operator, client } = await operated();
    const { path, secret } = operator.creds();
    const cli = await Cli.requeue(server.url, dataDirectory(), '--creds', path, '--interval', '50');
    const handled = await client.subscribe('work');
    await client.send('requeue.work', 'kept', { delay: 20 });
    expect((await handled.until(1))[0].body).toBe('kept');
    cli.signal('SIGTERM');
    const { code, stdout, stderr } = await cli.ended;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain(secret);
    expect(stdout + stderr).not.toContain(readFileSync(path, 'utf8').split('\n')[1]);
  });

  test('reads the file again at every connect: one that was replaced is used, a wrong one waited out', async () => {
    const { server, operator, client } = await operated();
    const { path } = operator.creds();
    const cli = await Cli.requeue(server.url, dataDirectory(), '--creds', path, '--interval', '50');
    const handled = await client.subscribe('work');
    copyFileSync(new Operator().creds().path, path);
    await server.restart();
    await cli.until('refuses the credentials');
    copyFileSync(operator.creds().path, path);
    let reply: string | undefined;
    while (reply === undefined)
      reply = await client.send('requeue.work', 'after').then(
        (message) => message.headers?.get('Requeue-Error') ?? '',
        () => undefined,
      );
    expect((await handled.until(1))[0].body).toBe('after');
  });

  test('refuses to start with credentials of another operator, without a file, or with one that is none', async () => {
    const { server, operator } = await operated();
    const foreign = new Operator().creds();
    const start = (path: string) =>
      Cli.run('requeue', '--servers', server.url, '--data-dir', dataDirectory(), '--creds', path);
    const refused = await start(foreign.path);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/refuses the credentials/) });
    expect(refused.stdout + refused.stderr).not.toContain(foreign.secret);
    expect(await start(`${foreign.path}.not`)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/credentials file.*cannot be read: ENOENT/),
    });
    const planted = operator.write('planted-secret');
    const none = await start(planted);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/is no creds file.*nsc generate creds/) });
    expect(none.stdout + none.stderr).not.toContain('planted-secret');
  });
});
