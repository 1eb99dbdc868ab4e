import { BrokerConfigurationError } from '../../../errors/configuration-errors.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import { answered } from '../../../clock/answered.js';
import { systemClock } from '../../../clock/clock.js';

const ANSWER_WITHIN_MS = 10_000;

export interface SeenBinding {
  readonly source: string;
  readonly destination: string;
  readonly isToQueue: boolean;
  readonly key: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What the management plugin tells of a virtual host, over HTTP. */
export interface Management {
  bindings(): Promise<readonly SeenBinding[]>;
  queues(): Promise<readonly ManagedQueue[]>;
}

export interface ManagedQueue {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Delivered and not settled; of some seconds ago. Undefined: it was not counted yet. */
  readonly unsettled: number | undefined;
}

/** `url`: with user and password; neither is in an error. */
export function managementOf(url: string, vhost: string): Management {
  const { origin, pathname, username, password } = new URL(url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const base = `${origin}${pathname.replace(/\/$/, '')}/api`;
  const get = async (path: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const what = `The management plugin of RabbitMQ at ${new URL(url).host}`;
    const late = new AbortController();
    const init = { headers: { authorization }, signal: late.signal };
    const asked = fetch(`${base}/${path}/${encodeURIComponent(vhost)}`, init);
    let answer: Response;
    try {
      answer = await answered(asked, { clock: systemClock, ms: ANSWER_WITHIN_MS }, () => late.abort());
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } };
      throw new NotConnectedError(`${what} does not answer: ${cause?.code ?? message}`);
    }
    if (!answer.ok)
      throw new BrokerConfigurationError(
        `${what} answers with ${answer.status}. Check user and password of «rabbitmq.management»`,
      );
    return (await answer.json()) as Readonly<Record<string, unknown>>[];
  };
  return {
    bindings: async () =>
      (await get('bindings')).map((one) => ({
        source: String(one.source),
        destination: String(one.destination),
        isToQueue: one.destination_type === 'queue',
        key: String(one.routing_key),
        arguments: one.arguments as SeenBinding['arguments'],
      })),
    queues: async () =>
      (await get('queues')).map((one) => ({
        name: String(one.name),
        arguments: one.arguments as ManagedQueue['arguments'],
        unsettled: one.messages_unacknowledged as number | undefined,
      })),
  };
}
