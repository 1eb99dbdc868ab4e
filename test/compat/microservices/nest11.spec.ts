import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { npmFolderBesideBrokers } from '../../brokers/npm-folder.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { newDirectory } from '../../brokers/run-directory.js';

const root = resolve(__dirname, '../../..');
const { folder } = npmFolderBesideBrokers('request-peers', resolve(root, 'test/request/interop'));

/** The packages of a folder, with this package as it is built and its client of RabbitMQ. */
function withThisPackage(packages: string): string {
  if (!existsSync(join(root, 'dist/compat-microservices.js'))) throw new Error('dist is missing: npm run build');
  const directory = newDirectory('nest11');
  const modules = join(directory, 'node_modules');
  mkdirSync(join(modules, 'nestjs-messaging'), { recursive: true });
  for (const name of readdirSync(join(packages, 'node_modules')))
    if (name !== 'amqplib' && !name.startsWith('.'))
      symlinkSync(join(packages, 'node_modules', name), join(modules, name));
  symlinkSync(join(root, 'node_modules/amqplib'), join(modules, 'amqplib'));
  for (const name of ['dist', 'package.json'])
    cpSync(join(root, name), join(modules, 'nestjs-messaging', name), { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{}');
  return directory;
}

describeRabbit("Nest's microservices, by Nest 11", (rabbit) => {
  (folder === undefined ? test.skip : test)('handlers and clients work as by Nest 12', async () => {
    const arguments_ = [withThisPackage(folder!), await rabbit.freshVhostUrl()];
    const child = fork(resolve(__dirname, 'on-nest11.cjs'), arguments_, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit');
    const [told] = (await once(child, 'message')) as [object];
    expect(told).toEqual({
      sum: [3],
      stream: [1, 2, 3],
      fails: { code: 'OUT_OF_STOCK' },
      receipt: 'confirmed',
      dead: ['attempts-exhausted', 'RangeError'],
      oneLine: 4,
      closed: 'closed',
      seen: [
        ['one', 'order.created', 'MessagingRpcContext'],
        ['broken', 'order.broken', 'MessagingRpcContext'],
        ['broken', 'order.broken', 'MessagingRpcContext'],
      ],
    });
    child.disconnect();
    await exit;
  });
});
