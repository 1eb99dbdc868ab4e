import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transformSync } from '@swc/core';

const sources = fileURLToPath(new URL('../test/brokers', import.meta.url));

/** The broker of this run alone: TEST_RABBITMQ_URL, else a private node as the tests start them, else a container. */
export async function startBroker(version, directory) {
  if (process.env.TEST_RABBITMQ_URL) {
    return { url: process.env.TEST_RABBITMQ_URL, stop: async () => {} };
  }
  const load = createRequire(pathToFileURL(join(compileStarter(directory), 'rabbitmq/x.js')));
  const { RabbitNode } = load('./node.js');
  const { installRabbit, rabbitVersions, reasonAgainstInstall } = load('./install.js');
  if (!rabbitVersions.includes(version)) throw new Error(`--rabbitmq takes ${rabbitVersions.join(' or ')}`);
  const impossible = await reasonAgainstInstall();
  if (impossible === undefined) {
    const node = await RabbitNode.start(await installRabbit(version), {
      conf: ['vm_memory_high_watermark.absolute = 2GB'],
    });
    return { url: node.url(), stop: () => node.stop() };
  }
  const { dockerAnswers, startByCompose, stopCompose } = load('./compose.js');
  if (!(await dockerAnswers()))
    throw new Error(`No RabbitMQ: ${impossible}, no container engine, no TEST_RABBITMQ_URL`);
  const { url } = await startByCompose(version);
  return { url, stop: stopCompose };
}

/** The NATS server of this run alone: TEST_NATS_URL, else a private one as the tests start them. */
export async function startNats(version, directory) {
  if (process.env.TEST_NATS_URL) return { url: process.env.TEST_NATS_URL, stop: async () => {} };
  const load = createRequire(pathToFileURL(join(compileStarter(directory), 'nats/x.js')));
  const { installNats, natsVersions } = load('./install.js');
  const { NatsServer } = load('./server.js');
  if (!natsVersions.includes(version)) throw new Error(`--nats takes ${natsVersions.join(' or ')}`);
  const installed = await installNats(version);
  const server = await NatsServer.start(installed.version, installed.program);
  return { url: server.url, stop: () => server.stop() };
}

/** A node of Kafka of this run alone: TEST_KAFKA_URL, else a private one as the tests start them. */
export async function startKafka(directory) {
  const { TEST_KAFKA_URL: given } = process.env;
  if (given) return { url: given.replace(/^kafka:\/\//, ''), version: 'of TEST_KAFKA_URL', stop: async () => {} };
  const load = createRequire(pathToFileURL(join(compileStarter(directory), 'kafka/x.js')));
  const { installKafka, kafkaVersion } = load('./install.js');
  const { KafkaServer } = load('./server.js');
  const server = await KafkaServer.start(await installKafka());
  return { url: server.url, version: kafkaVersion, stop: () => server.stop() };
}

/** The tests' starter is TypeScript: it is translated into `directory`, from where node_modules is found. */
function compileStarter(directory) {
  const target = join(directory, 'brokers');
  for (const file of readdirSync(sources, { recursive: true })) {
    if (/\.(yaml|xml)$/.test(file)) cpSync(join(sources, file), join(target, file));
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    const { code } = transformSync(readFileSync(join(sources, file), 'utf8'), {
      filename: file,
      swcrc: false,
      module: { type: 'commonjs' },
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    });
    const output = join(target, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, code);
  }
  writeFileSync(join(target, 'package.json'), '{ "type": "commonjs" }\n');
  return target;
}
