import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock/clock.js';
import { resolveDashboard } from '../dashboard/dashboard-options.js';
import { Dashboard } from '../dashboard/dashboard.js';
import { openArchiveFile } from '../dead-letter/sqlite-dead-letter-archive.js';
import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import { connectOnce } from '../transport/connect-once.js';
import type { Transport } from '../transport/transport.js';
import { memory } from '../transports/memory/memory.js';
import { BROKER, BROKER_NOTES, brokerOf, connectTimeoutOf, isBrokerGiven } from './broker-flags.js';
import { type Command, type Console, EXIT } from './command.js';
import { serveHere } from './dashboard-server.js';
import { type FlagValues, textOf, UsageError, wholeNumber } from './flags.js';
import { LookedRetryQueue } from './looked-retry-queue.js';
import { ObservedBroker } from './observed-broker.js';
import { brokerName, listQueues, SCOPE, scopeOf } from './queue-scope.js';
import { onStopSignal } from './stop-signals.js';

const PATH = '/messaging';
const TOKEN_BYTES = 24;
const MOST_PORT = 65_535;

export const dashboardCommand: Command = {
  name: 'dashboard',
  what: 'Serves the dashboard of a broker, an archive or a retry queue to this machine, for looking only.',
  flags: [
    ...SCOPE,
    { name: 'archive', value: 'file', what: 'the file of sqliteDeadLetterArchive; with a broker, or alone' },
    {
      name: 'retry-queue',
      value: 'folder',
      what: "the publisher's own, in the folder of diskRetryQueue; as --archive",
    },
    { name: 'port', value: 'number', default: 'one that is free', what: 'where it listens, on 127.0.0.1' },
    { name: 'bodies', value: 'how', default: 'redacted', what: 'redacted, full or never: what is shown of bodies' },
    ...BROKER,
  ],
  optionNames: { port: '--port', 'dashboard.bodies.show': '--bodies' },
  notes: [
    BROKER_NOTES,
    [
      'It prints an address with a token that is made for this run; nobody gets in without it. Nothing can be redriven, deleted or',
      'paused there. A queue is read only where somebody asks for it, with what that does to a queue of RabbitMQ.',
      'SIGTERM and SIGINT end it.',
    ].join('\n'),
    'Exit codes: 0 ended by a signal, 1 failed, 2 wrong usage.',
  ].join('\n\n'),
  async run(values, console) {
    const port = portOf(values);
    const observed = await Observation.open(values, console);
    try {
      const token = randomBytes(TOKEN_BYTES).toString('base64url');
      const access = (): object => ({ bodies: true, look: true });
      const bodies = { show: (textOf(values, 'bodies') ?? 'redacted') as 'redacted' };
      const options = resolveDashboard({ path: PATH, token, access, bodies, environment: 'looking only' });
      const { address, close } = await serveHere(new Dashboard(observed.broker, options), PATH, port);
      console.stdout.write(`${printable(observed.name)}: ${address}#token=${token}\n`);
      console.stdout.write('For looking, on this machine, as long as this runs: Ctrl+C ends it\n');
      await new Promise<void>((stopped) => {
        const release = onStopSignal(() => (release(), stopped()));
      });
      await close();
      return EXIT.ok;
    } finally {
      await observed.close();
    }
  },
};

function portOf(values: FlagValues): number {
  const port = wholeNumber(values, 'port') ?? 0;
  if (port > MOST_PORT) throw new UsageError(`--port is ${port}; allowed: 0 to ${MOST_PORT}, 0 for one that is free`);
  return port;
}

/** What the flags name, open. */
class Observation {
  private constructor(
    readonly broker: ObservedBroker,
    readonly name: string,
    private readonly closing: readonly (() => unknown)[],
  ) {}

  /** @throws UsageError, MessagingError */
  static async open(values: FlagValues, console: Console): Promise<Observation> {
    const [archiveFile, folder] = [textOf(values, 'archive'), textOf(values, 'retry-queue')];
    const scope = scopeOf(values);
    const isBroker = isBrokerGiven(values, console) || (archiveFile === undefined && folder === undefined);
    const transport: Transport = isBroker ? brokerOf(values, console).create() : memory().create();
    const closing: (() => unknown)[] = [() => transport.close()];
    const log = logOf(console);
    const names = [isBroker && brokerName(transport), archiveFile, folder].filter((one) => typeof one === 'string');
    try {
      const archive = archiveFile === undefined ? undefined : await openArchiveFile(archiveFile, systemClock);
      if (archive) closing.push(() => archive.close());
      const publishers = folder === undefined ? NONE : await LookedRetryQueue.open(folder, log);
      if (publishers instanceof LookedRetryQueue) closing.push(() => publishers.close());
      const service = scope.service ?? (scope.queues?.join(', ') || names.join(', '));
      const list = async (): ReturnType<typeof listQueues> => (isBroker ? listQueues(transport, scope) : undefined);
      const host = isBroker ? transport.host : names.join(', ');
      const broker = new ObservedBroker({ transport, host, service, list, publishers, archive, log });
      if (isBroker) {
        const connecting = {
          service: 'nestjs-messaging',
          timeoutMs: connectTimeoutOf(values),
          warn: (message: string): void => log.warn(message),
        };
        await connectOnce(transport, { ...connecting, onEvent: (event) => broker.told(event) });
        if (!(await list()))
          throw new UsageError(`--service or --queue is required: ${brokerName(transport)} lists no queues by itself`);
      }
      await broker.refresh();
      return new Observation(broker, names.join(' and '), closing);
    } catch (error) {
      await closeAll(closing);
      throw error;
    }
  }

  close(): Promise<void> {
    return closeAll(this.closing);
  }
}

async function closeAll(closing: readonly (() => unknown)[]): Promise<void> {
  for (const close of closing) await close();
}

function logOf({ stderr }: Console): Log {
  const line = (message: string): void => void stderr.write(`${printable(redactCredentials(message))}\n`);
  return { log: () => undefined, debug: () => undefined, warn: line, error: line };
}

/** Where no folder is named: a publisher's dead letters are in its application. */
const NONE = { size: 0, after: () => [], delete: () => false };
