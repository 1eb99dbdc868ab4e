import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { BrokerUrl } from '../transport/broker-url.js';
import type { TransportFactory } from '../transport/transport.js';
import { kafkaUrl } from '../transports/kafka/kafka.js';
import { natsUrl } from '../transports/nats/broker-url.js';
import { postgresUrl } from '../transports/postgres/postgres.js';
import { rabbitmqUrl } from '../transports/rabbitmq/broker-url.js';
import { redisUrl } from '../transports/redis/redis.js';
import { sqsUrl } from '../transports/sqs/sqs.js';
import type { Console } from './command.js';
import { duration, type Flag, type FlagValues, perhapsMeant, textOf, UsageError } from './flags.js';

/** The scheme of a URL says which of these is meant. */
const BROKERS: readonly BrokerUrl[] = [rabbitmqUrl, natsUrl, postgresUrl, redisUrl, kafkaUrl, sqsUrl];
const VARIABLE = 'BROKER_URL';
const DEFAULT_TIMEOUT_MS = 5_000;
const MOST_TIMEOUT_MS = 3_600_000;
const EXAMPLES = BROKERS.map(({ example }) => example).join(', ');
const SCHEMES = BROKERS.map(({ schemes: [scheme] }) => `${scheme}://…`).join(', ');

export const TIMEOUT: Flag = {
  name: 'timeout',
  value: 'time',
  default: `${DEFAULT_TIMEOUT_MS / 1_000}s`,
  what: 'how long to try to connect',
};

/** How the broker is reached. */
export const BROKER: readonly Flag[] = [
  { name: 'broker', value: 'url', what: `address of the broker: ${SCHEMES}` },
  ...BROKERS.flatMap(({ title, settings }) =>
    settings.map(({ name, value, what, default: otherwise }) => ({
      name,
      value,
      what: `${title}: ${what}`,
      ...(otherwise !== undefined && { default: otherwise }),
    })),
  ),
  TIMEOUT,
];

export const BROKER_NOTES = [
  `Environment: ${VARIABLE} instead of --broker, which keeps a password from other users and from the history of the shell.`,
  `Without both: ${BROKERS.map(({ title, variable }) => `${variable} for ${title}`).join(', ')}.`.replace(
    /(.{80,110}), /,
    '$1,\n',
  ),
  ...BROKERS.flatMap(({ title, login }) =>
    login === undefined ? [] : [`Who logs in to ${title}, where its URL does not say it: ${login}.`],
  ),
].join('\n');

/** Which broker is meant, and what says so. */
interface NamedBroker {
  readonly broker: BrokerUrl;
  readonly url: string;
  /** `--broker`, or the name of a variable. */
  readonly by: string;
}

/** Whether a broker is named at all. @throws UsageError for one that cannot be */
export function isBrokerGiven(values: FlagValues, { env }: Console): boolean {
  return givenBroker(values, env) !== undefined;
}

/** How long to try to connect, in milliseconds. @throws UsageError */
export function connectTimeoutOf(values: FlagValues): number {
  const timeout = duration(values, 'timeout') ?? DEFAULT_TIMEOUT_MS;
  if (timeout < 1 || timeout > MOST_TIMEOUT_MS) throw new UsageError('--timeout takes a span of time from 1ms to 1h');
  return timeout;
}

/** @throws UsageError */
export function brokerOf(values: FlagValues, { env }: Console): TransportFactory {
  const given = givenBroker(values, env);
  if (!given) throw new UsageError(`--broker is required, or ${VARIABLE}: the address of the broker, ${EXAMPLES}`);
  const { broker, url, by } = given;
  const foreign = BROKERS.filter((other) => other !== broker).flatMap(({ settings }) => settings);
  const wrong = foreign.find(({ name }) => values[name] !== undefined);
  if (wrong) throw new UsageError(`--${wrong.name} does not fit ${by}, which is the address of ${broker.title}`);
  const settings = Object.fromEntries(broker.settings.map(({ name }) => [name, textOf(values, name)]));
  try {
    const connectTimeout = connectTimeoutOf(values);
    return broker.factory(url, { settings, environment: env, connectTimeout, name: 'nestjs-messaging command line' });
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    const { option, allowed } = error;
    const setting = broker.settings.find((one) => one.option === option);
    // Of a URL that cannot be read nobody knows where the password is.
    throw new UsageError(
      setting
        ? error.message.replace(`Option «${option}»`, `--${setting.name}`)
        : `${by} is not usable; allowed: ${allowed}`,
    );
  }
}

/** @throws UsageError for what is only of use with a broker */
export function refuseBroker(values: FlagValues, why: string): void {
  const wrong = BROKER.find(({ name }) => values[name] !== undefined);
  if (wrong) throw new UsageError(`--${wrong.name} does not fit: ${why}. Leave it out`);
}

/** The more it is meant for this one command, the more it counts. */
function givenBroker(values: FlagValues, env: Console['env']): NamedBroker | undefined {
  const flag = textOf(values, 'broker');
  if (flag !== undefined) return bySchemeOf(flag, '--broker');
  if (env[VARIABLE]) return bySchemeOf(env[VARIABLE], VARIABLE);
  const own = BROKERS.filter(({ variable }) => env[variable]);
  if (own.length > 1)
    throw new UsageError(
      `${own.map(({ variable }) => variable).join(' and ')} are both set: unset one of them, or say which with --broker`,
    );
  return own[0] && { broker: own[0], url: env[own[0].variable]!, by: own[0].variable };
}

function bySchemeOf(url: string, by: string): NamedBroker {
  const [, scheme] = /^\s*([a-z][a-z\d+.-]*):\/\//i.exec(url) ?? [];
  const broker = BROKERS.find(({ schemes }) => schemes.includes(scheme?.toLowerCase() ?? ''));
  if (broker) return { broker, url, by };
  const schemes = BROKERS.flatMap((one) => one.schemes);
  const said = scheme === undefined ? 'no scheme' : `the scheme «${scheme}»${perhapsMeant(scheme, schemes)}`;
  throw new UsageError(`${by} has ${said}; allowed: ${schemes.map((one) => `${one}://`).join(', ')}`);
}
