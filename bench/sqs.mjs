// This package on SQS beside the SDK used well (batches of ten, several at a time), on the emulator or service at the address
// that is given: node bench/sqs.mjs http://localhost:4566 [rounds]. Best on an emulator that has just begun.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const BODY = { payload: 'p'.repeat(240) };
const ROUTE = 'bench.done';
const [, file, endpoint = 'http://localhost:4566', ...rest] = process.argv;
const config = { region: 'us-east-1', endpoint, credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' } };
/** Requests at a time, each of ten messages. */
const AT_A_TIME = 8;
const POLLS = 4;

const ROWS = {
  'publish, 1,000 in a call': { count: 10_000 },
  'process, concurrency 100': { count: 10_000, concurrency: 100 },
};

/** Each gives how to add and how to process, and how to end. */
const sides = {
  async ours(name) {
    const { NestFactory } = require('@nestjs/core');
    const { Messaging, MessagingModule, bounded } = require('../dist/index.js');
    const { sqs } = require('../dist/sqs.js');
    require('reflect-metadata');
    const { region, credentials } = config;
    const transport = sqs({ region, endpoint, prefix: `${name}-`, waitTime: 1_000, options: { credentials } });
    const module = MessagingModule.forRoot({ service: 'bench', transport });
    const application = await NestFactory.createApplicationContext(module, { logger: ['error'] });
    const messaging = application.get(Messaging);
    const subscribe = (concurrency, handler) =>
      messaging.subscribe({ route: ROUTE, prefetch: concurrency * 2, concurrency: bounded(concurrency) }, handler);
    await (await subscribe(1, () => {})).stop();
    return {
      addMany: (count) =>
        messaging.publisher.publishMany(Array.from({ length: count }, () => ({ route: ROUTE, body: BODY }))),
      process: (concurrency, handler) => subscribe(concurrency, async () => handler()),
      end: () => application.close(),
    };
  },
  async raw(name) {
    const { SQSClient, CreateQueueCommand, DeleteMessageBatchCommand, ReceiveMessageCommand, SendMessageBatchCommand } =
      require('@aws-sdk/client-sqs'); // prettier-ignore
    const client = new SQSClient({ ...config, useQueueUrlAsEndpoint: false });
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: name }));
    const body = JSON.stringify(BODY);
    const several = (times, work) => Promise.all(Array.from({ length: times }, work));
    return {
      addMany: async (count) => {
        let left = count / 10;
        await several(AT_A_TIME, async () => {
          while (left-- > 0) {
            const Entries = Array.from({ length: 10 }, (_, at) => ({ Id: String(at), MessageBody: body }));
            await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
          }
        });
      },
      process: (_, handler) =>
        several(POLLS, async () => {
          for (;;) {
            const command = new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 });
            const { Messages = [] } = await client.send(command);
            for (const { Body } of Messages) handler(JSON.parse(Body));
            const Entries = Messages.map(({ ReceiptHandle }, at) => ({ Id: String(at), ReceiptHandle }));
            if (Entries.length > 0) void client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
          }
        }),
      end: async () => client.destroy(),
    };
  },
};

/** One row of one side, in a process of its own. */
async function measure(side, name) {
  const row = ROWS[name];
  const { addMany, process: work, end } = await sides[side](`${side}-${process.pid}-${Date.now() % 1e9}`);
  const warm = 2_000;
  let finished;
  for (let sent = 0; sent < warm + (row.concurrency ? row.count : 0); sent += 1_000) await addMany(1_000);
  if (row.concurrency) {
    let left = row.count + warm;
    let warmed;
    let done;
    const isWarm = new Promise((resolve) => (warmed = resolve));
    finished = new Promise((resolve) => (done = resolve));
    void work(row.concurrency, () => (--left === row.count ? warmed() : left === 0 && done()));
    await isWarm;
  }
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  if (finished) await finished;
  else for (let sent = 0; sent < row.count; sent += 1_000) await addMany(1_000);
  const [seconds, used] = [(performance.now() - start) / 1_000, process.cpuUsage(cpu)];
  console.log(JSON.stringify({ perSecond: row.count / seconds, client: (used.user + used.system) / row.count }));
  await Promise.race([end(), new Promise((resolve) => setTimeout(resolve, 3_000))]);
  process.exit(0);
}

function compare(rounds) {
  for (const name of Object.keys(ROWS)) {
    const found = { ours: [], raw: [] };
    for (let round = 0; round < rounds; round++)
      for (const side of round % 2 ? ['raw', 'ours'] : ['ours', 'raw']) {
        const options = { encoding: 'utf8', timeout: 300_000, stdio: ['ignore', 'pipe', 'ignore'] };
        const output = execFileSync(process.execPath, [file, endpoint, '--row', side, name], options);
        found[side].push(JSON.parse(output.trim().split('\n').at(-1)));
      }
    const median = (side, what) => found[side].map((one) => one[what]).sort((a, b) => a - b)[rounds >> 1];
    const [rate, cpu] = ['perSecond', 'client'].map((what) => median('ours', what) / median('raw', what));
    for (const side of ['ours', 'raw'])
      console.log(`${name.padEnd(26)} ${side.padEnd(6)} ${median(side, 'perSecond').toFixed(0).padStart(8)}/s ${median(side, 'client').toFixed(1).padStart(9)} µs client`); // prettier-ignore
    console.log(`${name.padEnd(26)} ratio  ${rate.toFixed(2).padStart(8)} rate ${cpu.toFixed(2).padStart(9)} CPU\n`);
  }
}

if (rest[0] === '--row') await measure(rest[1], rest[2]);
else if (file === fileURLToPath(import.meta.url)) compare(Number(rest[0]) || 3);
