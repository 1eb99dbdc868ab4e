import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { type Clock, systemClock } from '../clock/clock.js';
import type { AlertsOptions } from '../dead-letter/dead-letter-alerts.js';
import { resolveAlerts, resolveLimits } from '../dead-letter/dead-letter-options.js';
import type { DeadLetterLimits } from '../dead-letter/dead-letter-place.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, refuseUndefined } from '../errors/option-checks.js';
import type { RetryQueueStoreError } from '../errors/publish-errors.js';
import type { RequeueTelemetry } from './requeue-telemetry.js';
import { addressOf, type Address, serverUrls } from '../transports/nats/connection/address.js';
import { loadNatsCore, type NatsCore } from '../transports/nats/connection/peers.js';
import { IngressSubject, isSubjectPattern } from './subject.js';

/** Options of the requeue service; all but `dataDir` have a default. */
export interface RequeueOptions {
  /** Addresses of NATS servers. A user and password in them are taken out and used. Default `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /** A NATS credentials file; it is read again at every connect. */
  readonly credsFile?: string;
  /** Further options of the NATS client: `tls`, `user`, `pass`, `token`, `authenticator`, …. Reconnecting is this package's. */
  readonly nats?: Omit<NodeConnectionOptions, 'servers' | 'name' | 'reconnect'>;
  /** What is listened to. Default `requeue.>`. */
  readonly subject?: string;
  /** The queue group that shares it. Default `requeue-workers`. */
  readonly group?: string;
  /** Names the connection on the server. Default `requeue-nats`. */
  readonly name?: string;
  /** The folder of the store; several services on one machine may share it. */
  readonly dataDir: string;
  /** Milliseconds that a subscriber has for its reply. Default 30,000. */
  readonly ackTimeout?: number;
  /** Milliseconds between two looks for the files of services that died. Default 1,000. */
  readonly interval?: number;
  /** Messages that are sent and not answered yet, of all queues. Default 512. */
  readonly maxInFlight?: number;
  /** Messages in a queue, dead letters included; above, a message is refused. Default 1,000,000. */
  readonly maxMessages?: number;
  /** Bytes that wait in a queue; above, a message is refused. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Dead letters of each queue that are deleted: those given up longer ago (milliseconds), and the oldest above a number. Default: none. */
  readonly deadLetters?: DeadLetterLimits;
  /** When somebody is to be told of dead letters, in all queues together. Default: never. */
  readonly alerts?: AlertsOptions;
  /** Milliseconds that a stop waits for what is under way. Default 10,000. */
  readonly shutdownTimeout?: number;
  /** There is no connection, it was lost, or the server refuses something. Its text holds no secret. */
  readonly onConnectionError?: (error: Error) => void;
  /** The store cannot be written or read. */
  readonly onWriteError?: (error: RetryQueueStoreError) => void;
  /** So many messages of services that died were taken over. */
  readonly onAdopted?: (count: number) => void;
  /** The service has ended. */
  readonly onClosed?: () => void;
  /** Metrics: `openTelemetry()` of `nestjs-messaging/opentelemetry`. Default: none. */
  readonly telemetry?: RequeueTelemetry;
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock;
}

/** Checked, with defaults; without credentials, which stay inside the closures of `address`. */
export interface RequeueSettings {
  readonly address: Address;
  /** Of the servers, without user and password. */
  readonly hosts: readonly string[];
  readonly inboxPrefix: string | undefined;
  readonly ingress: IngressSubject;
  readonly group: string;
  readonly name: string;
  readonly dataDir: string;
  readonly ackTimeout: number;
  readonly interval: number;
  readonly maxInFlight: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly shutdownTimeout: number;
  readonly deadLetters: DeadLetterLimits;
  readonly alerts: AlertsOptions | undefined;
  readonly telemetry: RequeueTelemetry | undefined;
  readonly clock: Clock;
  readonly callbacks: Pick<RequeueOptions, 'onConnectionError' | 'onWriteError' | 'onAdopted' | 'onClosed'>;
}

export const DEFAULT_SERVER = 'nats://127.0.0.1:4222';

/** Default of every option that has one and is not a function. */
export const REQUEUE_DEFAULTS = {
  servers: DEFAULT_SERVER,
  subject: 'requeue.>',
  group: 'requeue-workers',
  name: 'requeue-nats',
  ackTimeout: 30_000,
  interval: 1_000,
  maxInFlight: 512,
  maxMessages: 1_000_000,
  maxBytes: 2 ** 30,
  shutdownTimeout: 10_000,
} as const;

const CALLBACKS = ['onConnectionError', 'onWriteError', 'onAdopted', 'onClosed'] as const;
const NAMES = [
  ...Object.keys(REQUEUE_DEFAULTS),
  'credsFile',
  'nats',
  'dataDir',
  'deadLetters',
  'alerts',
  'telemetry',
  'clock',
  ...CALLBACKS,
];
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The client, without JetStream. @throws MissingPeerError */
export const loadClient = (): Promise<NatsCore> => loadNatsCore('The requeue service');

/** What leaving out means of the options that say where to connect, and as whom. */
const LEFT_OUT = {
  servers: `«${DEFAULT_SERVER}»`,
  credsFile: 'none',
  subject: `«${REQUEUE_DEFAULTS.subject}»`,
  group: `«${REQUEUE_DEFAULTS.group}»`,
};

/** @throws InvalidOptionError */
export function resolveRequeueOptions(options: RequeueOptions): RequeueSettings {
  knownKeys('requeue', options, NAMES);
  refuseUndefined('', options, LEFT_OUT);
  const { clock = systemClock, nats = {}, credsFile, telemetry, deadLetters = {}, alerts } = options;
  knownKeys('deadLetters', deadLetters, ['maxAge', 'maxCount']);
  const { onConnectionError, onWriteError, onAdopted, onClosed } = options;
  const value = <K extends keyof typeof REQUEUE_DEFAULTS>(name: K): unknown => options[name] ?? REQUEUE_DEFAULTS[name];
  const whole = (name: keyof typeof REQUEUE_DEFAULTS, min: number, max: number): number =>
    integerBetween(name, value(name), min, max);
  for (const name of CALLBACKS) {
    if (options[name] !== undefined && typeof options[name] !== 'function')
      throw new InvalidOptionError(name, options[name], 'a function');
  }
  if (telemetry !== undefined && typeof telemetry?.observeRequeue !== 'function')
    throw new InvalidOptionError('telemetry', telemetry, 'openTelemetry() of nestjs-messaging/opentelemetry');
  if (typeof nats !== 'object' || nats === null || 'servers' in nats || 'name' in nats)
    throw new InvalidOptionError('nats', undefined, 'options of the NATS client but «servers» and «name»');
  if (credsFile !== undefined) text('credsFile', credsFile);
  const subject = text('subject', value('subject'));
  if (!isSubjectPattern(subject))
    throw new InvalidOptionError(
      'subject',
      subject,
      'words with dots between them; «*» is one word, a last «>» the rest',
    );
  const group = text('group', value('group'));
  if (/\s/.test(group)) throw new InvalidOptionError('group', group, 'a text without blanks');
  const urls = serverUrls('servers', value('servers'));
  return {
    address: addressOf(urls, nats, credsFile, loadClient),
    hosts: urls.map(({ host }) => host),
    inboxPrefix: nats.inboxPrefix,
    ingress: new IngressSubject(subject),
    group,
    name: text('name', value('name')),
    dataDir: text('dataDir', options.dataDir),
    ackTimeout: whole('ackTimeout', 1, MAX_TIMER_MS),
    interval: whole('interval', 10, MAX_TIMER_MS),
    maxInFlight: whole('maxInFlight', 1, 100_000),
    maxMessages: whole('maxMessages', 1, Number.MAX_SAFE_INTEGER),
    maxBytes: whole('maxBytes', 1, Number.MAX_SAFE_INTEGER),
    shutdownTimeout: whole('shutdownTimeout', 0, MAX_TIMER_MS),
    deadLetters: resolveLimits(deadLetters),
    alerts: alerts === undefined ? undefined : resolveAlerts(alerts),
    telemetry,
    clock,
    callbacks: { onConnectionError, onWriteError, onAdopted, onClosed },
  };
}

function text(option: string, value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || value.includes('\0'))
    throw new InvalidOptionError(option, value, 'a text that is not empty');
  return value;
}
