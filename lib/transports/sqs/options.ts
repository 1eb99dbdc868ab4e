import type { SQSClientConfig } from '@aws-sdk/client-sqs';
import { InvalidOptionError, NOT_SHOWN } from '../../errors/configuration-errors.js';
import {
  checkBoolean,
  checkShortText,
  integerBetween,
  knownKeys,
  oneOf,
  refuseUndefined,
} from '../../errors/option-checks.js';
import { redactor } from '../kit/redactor.js';
import { HEAD, PARTITION_KEY, ROUTE, ROUTE_WORDS } from './codec.js';

/** Options of `sqs({…})`. */
export interface SqsOptions {
  /** Region of the queues. Left out: what the SDK finds in its environment (`AWS_REGION`, the profile). */
  readonly region?: string;
  /** Address of the service, for an emulator or a private endpoint: `http://localhost:4566`. Left out: AWS'. */
  readonly endpoint?: string;
  /** Further options of the clients: `credentials`, `requestHandler`, `md5`, …. */
  readonly options?: Readonly<Omit<SQSClientConfig, 'region' | 'endpoint' | 'maxAttempts' | 'retryStrategy'>>;
  /** What the names of all queues begin with: letters, digits, «-» and «_», up to 30. Default `messaging-`. */
  readonly prefix?: string;
  /** Topic of publishes and subscriptions that name none. Default `events`. */
  readonly topic?: string;
  /**
   * Queues are FIFO queues: the messages of a key are handled in their order, and what is published twice is stored once.
   * Nothing can be delayed there. Default false.
   */
  readonly fifo?: boolean;
  /**
   * What brings a publish to the queues of its route: `tags` of the queues, which each publisher reads; or `sns`, a topic of
   * SNS that the queues are subscribed to, for which `@aws-sdk/client-sns` has to be installed. Default `tags`.
   */
  readonly topics?: 'tags' | 'sns';
  /** Address of SNS, where it is another than `endpoint`. */
  readonly snsEndpoint?: string;
  /**
   * Names of headers, texts and numbers, that are attributes of their own as well, for filters and other clients: up to six.
   * Default none.
   */
  readonly attributes?: readonly string[];
  /** The key of a message becomes its `MessageGroupId` on standard queues, so that no key starves the others. Default false. */
  readonly fairQueues?: boolean;
  /**
   * Messages come with the events of Lambda, to `createSqsHandler`, which the same handlers are called for: nothing is
   * polled. Default false.
   */
  readonly lambda?: boolean;
  /**
   * Milliseconds after which what a process that died had is delivered again: the visibility of a message, in whole
   * seconds. While the process lives this is renewed by itself, up to SQS' 12 hours. Default 30,000.
   */
  readonly lease?: number;
  /**
   * How long SQS keeps a poll open that finds nothing, in milliseconds and whole seconds, 0 to 20,000: a shutdown waits as
   * long at most. Default 10,000.
   */
  readonly waitTime?: number;
  /** Milliseconds after which a process that has nothing to do asks whether SQS answers. Default 10,000. */
  readonly heartbeat?: number;
  /** So long what is known of the queues of other processes may be old, in milliseconds. Default 5,000. */
  readonly routesRefresh?: number;
  /**
   * The largest body in bytes that is sent. Default 750,000: SQS takes 1 MiB with attributes, of a body that is no text in
   * base64; with `topics: 'sns'` 180,000 of 256 KiB.
   */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of SQS for this queue: there are none yet. */
    readonly sqs?: SqsSubscriptionOptions;
  }
}

/** What `sqs: {…}` of a subscription takes: nothing yet, so that a typing error is not ignored. */
export type SqsSubscriptionOptions = Readonly<Record<string, never>>;

/** The options, checked and complete. Credentials are in what `config` gives, and in nothing that is logged. */
export interface Settings extends Required<Omit<SqsOptions, 'region' | 'endpoint' | 'options' | 'snsEndpoint'>> {
  /** Where the service is, for people. */
  readonly host: string;
  config(): SQSClientConfig;
  snsConfig(): SQSClientConfig;
  redact(text: string): string;
}

const DEFAULTS = {
  prefix: 'messaging-',
  topic: 'events',
  fifo: false,
  topics: 'tags',
  attributes: [],
  lambda: false,
  fairQueues: false,
  lease: 30_000,
  waitTime: 10_000,
  heartbeat: 10_000,
  routesRefresh: 5_000,
  maxBytes: 750_000,
} as const;
/** Of a message of SNS, unless its topic says more. */
const MOST_BYTES_OF_SNS = 180_000;

const KNOWN = ['region', 'endpoint', 'snsEndpoint', 'options', ...Object.keys(DEFAULTS)];
/** What the transport relies on: it tries again by itself. */
const OURS = ['region', 'endpoint', 'maxAttempts', 'retryStrategy', 'retryMode', 'useQueueUrlAsEndpoint'];

export function checkOptions(options: SqsOptions): Settings {
  knownKeys('sqs', options, KNOWN);
  refuseUndefined('sqs', options, { prefix: `«${DEFAULTS.prefix}»`, topic: `«${DEFAULTS.topic}»` });
  const given = {
    ...DEFAULTS,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
  const { options: native = {}, region, endpoint, snsEndpoint = endpoint, maxBytes } = options;
  const topics = oneOf('sqs.topics', given.topics, ['tags', 'sns'] as const);
  if (typeof native !== 'object' || native === null)
    throw new InvalidOptionError('sqs.options', `a ${typeof native}`, 'an object');
  const ours = OURS.find((name) => name in native);
  if (ours) throw new InvalidOptionError(`sqs.options.${ours}`, NOT_SHOWN, 'nothing: the transport sets it');
  if (region !== undefined && !/^[a-z0-9-]{1,64}$/.test(region))
    throw new InvalidOptionError('sqs.region', region, 'the name of a region, as `eu-central-1`');
  if (snsEndpoint !== undefined) hostOf(snsEndpoint, 'sqs.snsEndpoint');
  const { credentials } = native;
  const secrets = typeof credentials === 'object' ? Object.values(credentials as object) : [];
  return {
    host: `${endpoint === undefined ? `sqs.${region ?? 'the region of the environment'}` : hostOf(endpoint, 'sqs.endpoint')}`,
    prefix: checkPrefix(given.prefix),
    topic: checkShortText('sqs.topic', given.topic),
    fifo: checkBoolean('sqs.fifo', given.fifo),
    topics,
    lambda: checkBoolean('sqs.lambda', given.lambda),
    attributes: checkAttributes(given.attributes),
    fairQueues: checkBoolean('sqs.fairQueues', given.fairQueues),
    lease: wholeSeconds('sqs.lease', given.lease, 1_000, 43_200_000),
    waitTime: wholeSeconds('sqs.waitTime', given.waitTime, 0, 20_000),
    heartbeat: integerBetween('sqs.heartbeat', given.heartbeat, 10, 600_000),
    routesRefresh: integerBetween('sqs.routesRefresh', given.routesRefresh, 0, 600_000),
    maxBytes:
      topics === 'sns' && maxBytes === undefined
        ? MOST_BYTES_OF_SNS
        : integerBetween('sqs.maxBytes', given.maxBytes, 1, 2 ** 20),
    redact: redactor(secrets.filter((one) => typeof one === 'string' && one.length > 3) as string[]),
    config: () => ({
      ...native,
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      // A queue's URL says where the server believes that it is, which a proxy or a container may know better.
      useQueueUrlAsEndpoint: false,
      maxAttempts: 1,
    }),
    snsConfig: () => ({
      ...native,
      ...(region !== undefined && { region }),
      ...(snsEndpoint !== undefined && { endpoint: snsEndpoint }),
      maxAttempts: 1,
    }),
  };
}

/** @throws InvalidOptionError for any */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): void {
  knownKeys('sqs', native, []);
}

function wholeSeconds(option: string, value: unknown, min: number, max: number): number {
  const ms = integerBetween(option, value, min, max);
  if (ms % 1_000 === 0) return ms;
  throw new InvalidOptionError(option, value, `whole seconds in milliseconds, from ${min} to ${max}`);
}

function checkPrefix(prefix: unknown): string {
  if (typeof prefix === 'string' && /^[A-Za-z0-9_-]{1,30}$/.test(prefix)) return prefix;
  throw new InvalidOptionError('sqs.prefix', prefix, '1 to 30 letters, digits, «-» and «_»');
}

/** SNS drops what has more than ten where it is delivered as it is, and four are ours. */
const MOST_ATTRIBUTES = 6;
const OUR_ATTRIBUTES: readonly string[] = [HEAD, ROUTE, ROUTE_WORDS, PARTITION_KEY];

function checkAttributes(names: unknown): readonly string[] {
  const wanted = `up to ${MOST_ATTRIBUTES} names of headers: SNS drops a message with more than ten attributes, and four are ours`;
  if (!Array.isArray(names) || names.length > MOST_ATTRIBUTES)
    throw new InvalidOptionError('sqs.attributes', Array.isArray(names) ? `${names.length} names` : names, wanted);
  const odd = (names as unknown[]).findIndex(
    (name, at) =>
      typeof name !== 'string' ||
      !/^(?!aws\.|amazon\.|\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)$/i.test(name) ||
      OUR_ATTRIBUTES.includes(name) ||
      names.indexOf(name) < at,
  );
  if (odd < 0) return [...(names as string[])];
  throw new InvalidOptionError(
    `sqs.attributes[${odd}]`,
    names[odd],
    'a name that no other attribute has, of letters, digits, «_», «-» and single dots, that does not begin with «AWS.» or «Amazon.»',
  );
}

function hostOf(endpoint: unknown, option: string): string {
  if (typeof endpoint === 'string' && /^https?:\/\//.test(endpoint) && URL.canParse(endpoint)) {
    const url = new URL(endpoint);
    if (url.username === '' && url.password === '') return url.host;
  }
  throw new InvalidOptionError(
    option,
    NOT_SHOWN,
    'http://host:port without user and password: these are `options.credentials`',
  );
}
