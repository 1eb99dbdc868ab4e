import { systemClock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { REQUEUE_DEFAULTS, type RequeueOptions } from '../requeue/requeue-options.js';
import { RequeueServer } from '../requeue/requeue-server.js';
import { type Command, type Console, EXIT } from './command.js';
import { type Flag, type FlagValues, given, textOf, UsageError, wholeNumber } from './flags.js';
import { serviceOutput } from './service-output.js';
import { onStopSignal } from './stop-signals.js';

const number = (name: keyof typeof REQUEUE_DEFAULTS): string => REQUEUE_DEFAULTS[name].toLocaleString('en');

const FLAGS: readonly Flag[] = [
  { name: 'servers', value: 'addresses', default: REQUEUE_DEFAULTS.servers, what: 'NATS servers, separated by commas' },
  { name: 'creds', value: 'file', what: 'NATS credentials file' },
  { name: 'subject', value: 'pattern', default: REQUEUE_DEFAULTS.subject, what: 'what is listened to' },
  { name: 'group', value: 'name', default: REQUEUE_DEFAULTS.group, what: 'queue group that shares it' },
  { name: 'name', value: 'name', default: REQUEUE_DEFAULTS.name, what: 'name of the connection on the server' },
  { name: 'data-dir', value: 'folder', what: 'folder of the store; required' },
  { name: 'ack-timeout', value: 'ms', default: number('ackTimeout'), what: 'how long a subscriber may take to reply' },
  {
    name: 'interval',
    value: 'ms',
    default: number('interval'),
    what: 'how often to look for files of services that died, and to tell the state',
  },
  {
    name: 'max-in-flight',
    value: 'count',
    default: number('maxInFlight'),
    what: 'messages sent and not answered, of all queues',
  },
  {
    name: 'max-messages',
    value: 'count',
    default: number('maxMessages'),
    what: 'messages in a queue, with its dead letters; above, they are refused',
  },
  {
    name: 'max-bytes',
    value: 'bytes',
    default: number('maxBytes'),
    what: 'bytes waiting in a queue; above, they are refused',
  },
  { name: 'dead-letter-max-age', value: 'ms', what: 'dead letters that were given up longer ago are deleted' },
  { name: 'dead-letter-max-count', value: 'count', what: 'the most dead letters of a queue; the oldest are deleted' },
  {
    name: 'shutdown-timeout',
    value: 'ms',
    default: number('shutdownTimeout'),
    what: 'how long SIGTERM waits for replies',
  },
];

/** Where each flag goes. */
const NAMES: Readonly<Record<string, keyof RequeueOptions>> = {
  'data-dir': 'dataDir',
  'ack-timeout': 'ackTimeout',
  'max-in-flight': 'maxInFlight',
  'max-messages': 'maxMessages',
  'max-bytes': 'maxBytes',
  'shutdown-timeout': 'shutdownTimeout',
};

/** Those of a group, by their paths. */
const LIMITS: Readonly<Record<string, string>> = {
  'dead-letter-max-age': 'deadLetters.maxAge',
  'dead-letter-max-count': 'deadLetters.maxCount',
};

export const requeueCommand: Command = {
  name: 'requeue',
  what: 'Takes NATS messages, keeps them on the disk, and sends them again when they are due.',
  flags: FLAGS,
  notes: [
    'Environment: NATS_USER and NATS_PASSWORD, or NATS_TOKEN. A password on the command line is refused: others see it.',
    'SIGTERM and SIGINT end it in order; a second one ends it at once, and nothing is lost either.',
    'Exit codes: 0 ended by a signal, 1 failed, 2 wrong usage.',
  ].join('\n'),
  async run(values, console) {
    const output = serviceOutput(console, systemClock);
    const server = create(options(values, console), output);
    const { interval } = server.settings;
    const release = onStopSignal((signal) => {
      output.log(`${signal}: what is under way is finished; once more ends at once`);
      void server.stop();
    });
    let open = true;
    const tell = (): void => {
      if (!open) return;
      output.state(server.health());
      systemClock.after(interval, tell, { background: true });
    };
    try {
      await server.start();
      tell();
      await server.closed;
      output.log('Ended');
      return EXIT.ok;
    } finally {
      open = false;
      output.end();
      release();
    }
  },
};

/** A user or password stands in the address. */
function holdsCredentials(address: string): boolean {
  return /^([a-z]+:\/\/)?[^/?#]*@/i.test(address);
}

function options(values: FlagValues, { env }: Console): RequeueOptions {
  const { servers, creds } = values as { servers?: string; creds?: string };
  const addresses = servers?.split(',').map((one) => one.trim());
  if (addresses?.some(holdsCredentials))
    throw new UsageError(
      '--servers holds a user or password, which everybody on this machine can see; use --creds, or NATS_USER and NATS_PASSWORD',
    );
  if (textOf(values, 'data-dir') === undefined) throw new UsageError('--data-dir is required');
  const found: Record<string, unknown> = { nats: login(env), credsFile: creds, servers: addresses };
  const limits: Record<string, unknown> = {};
  for (const { name, value } of FLAGS) {
    if (name === 'servers' || name === 'creds') continue;
    const isNumber = value === 'ms' || value === 'count' || value === 'bytes';
    const limit = LIMITS[name];
    if (limit !== undefined) limits[limit.split('.')[1]] = wholeNumber(values, name);
    else found[NAMES[name] ?? name] = isNumber ? wholeNumber(values, name) : textOf(values, name);
  }
  return given({ ...found, deadLetters: given(limits) }) as unknown as RequeueOptions;
}

function login({ NATS_USER, NATS_PASSWORD, NATS_TOKEN }: Console['env']): RequeueOptions['nats'] {
  if (NATS_TOKEN) return { token: NATS_TOKEN };
  return NATS_USER ? { user: NATS_USER, pass: NATS_PASSWORD } : undefined;
}

/** Options are told by the names of their flags. */
function create(settings: RequeueOptions, output: ReturnType<typeof serviceOutput>): RequeueServer {
  try {
    return new RequeueServer(settings, output);
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    const flag =
      Object.entries({ ...NAMES, ...LIMITS }).find(([, option]) => option === error.option)?.[0] ?? error.option;
    throw new UsageError(error.message.replace(`Option «${error.option}»`, `--${flag}`));
  }
}
