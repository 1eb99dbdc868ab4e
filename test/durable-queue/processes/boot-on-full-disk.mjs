// On a small file system of its own: applications that boot while it is full. Its only argument is the mount point.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { diskRetryQueue, Messaging, MessagingModule } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

const [mount, role] = process.argv.slice(2);
const ballast = join(mount, 'ballast');

/** Until not a single byte more fits. */
function fill() {
  const file = openSync(ballast, 'w');
  for (let size = 65_536; size >= 1;) {
    try {
      writeSync(file, Buffer.alloc(size));
    } catch {
      size = Math.floor(size / 2);
    }
  }
  closeSync(file);
}

/** An application without a broker: what it publishes has to wait. */
async function boot(name) {
  const transport = rabbitmq({ url: 'amqp://127.0.0.1:1' });
  const retryQueue = { store: diskRetryQueue({ directory: join(mount, name) }) };
  const options = { service: 'full', transport, retryQueue, shutdownTimeout: 100, confirmTimeout: 50 };
  const app = await NestFactory.createApplicationContext(MessagingModule.forRoot(options), { logger: false });
  const messaging = app.get(Messaging);
  const publish = (id) =>
    messaging.publisher.publish('r', { id }, { id }).then(
      ({ outcome, stored }) => `${outcome} ${stored}`,
      ({ code }) => code,
    );
  const report = () => {
    const { depth, healthy, quarantined } = messaging.health().retryQueue;
    return { depth, healthy, quarantined };
  };
  return { publish, report, close: () => app.close() };
}

async function booted(name) {
  try {
    return { app: await boot(name) };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

/** Publishes until it is kept: the store looks at the disk again a second after it failed. */
async function untilKept(app, id) {
  const deadline = Date.now() + 15_000;
  let result;
  do {
    result = await app.publish(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (result !== 'queued disk' && Date.now() < deadline);
  return result;
}

if (role === 'killed') {
  // What a process leaves that dies: its file is open, and nobody has made it small.
  const app = await boot('left');
  console.log(await app.publish('left'));
  process.kill(process.pid, 'SIGKILL');
} else {
  let killed;
  try {
    killed = execFileSync(process.execPath, [fileURLToPath(import.meta.url), mount, 'killed'], { encoding: 'utf8' });
  } catch (error) {
    killed = error.stdout;
  }
  fill();
  const results = { killed: killed.trim() };
  for (const name of ['new', 'left']) {
    const { app, code, message } = await booted(name);
    if (!app) {
      results[name] = { code, message };
      continue;
    }
    const refused = await app.publish('refused');
    results[name] = { refused, ...app.report() };
    if (name === 'left') rmSync(ballast);
    else {
      await app.close();
      continue;
    }
    results.freed = { published: await untilKept(app, 'after'), ...app.report() };
    await app.close();
    const again = await boot('left');
    results.again = { ...again.report(), setAside: readdirSync(join(mount, 'left')).includes('quarantine') };
    await again.close();
  }
  console.log(JSON.stringify(results));
}
