import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkName, checkRoute, checkShortText, knownKeys, oneOf } from '../errors/option-checks.js';
import type { MessageContract } from '../message/message-contract.js';
import type { RouteLike } from '../publisher/publish-options.js';

/** What becomes of times at which nobody could publish. */
export type MissedPolicy = 'skip' | 'once' | 'all';

/** Options of `@Recurring`. */
export interface RecurringOptions {
  /** What the times are remembered under; needed where a route has several. Without «:». Default: the route. */
  readonly name?: string;
  /** IANA name of the time zone of the expression, such as `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string;
  /**
   * After a time at which no process ran, or nothing could be published: `once` publishes the last of the missed times,
   * `all` each of them (the newest 100), `skip` none that is more than a minute late. Default `once`.
   */
  readonly missed?: MissedPolicy;
  /** Where to publish (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
  /** The connection it is published on, where an application has several. */
  readonly connection?: string;
}

/** The time for which the method makes a message. */
export interface RecurringFire {
  readonly name: string;
  /** The time of the expression; the message may be published later. */
  readonly at: Date;
  /** The id of its message, the same in whichever process makes it. */
  readonly id: string;
}

/** What a method was decorated with, checked. */
export interface RecurringRequest extends Required<Pick<RecurringOptions, 'name' | 'timeZone' | 'missed'>> {
  readonly cron: string;
  readonly route: RouteLike;
  readonly topic?: string;
  readonly connection?: string;
}

const MOST_NAME_BYTES = 100;

/** @throws InvalidOptionError; the expression itself is looked at when the application starts */
export function recurringRequest(
  cron: unknown,
  route: string | MessageContract<never>,
  options: RecurringOptions,
): RecurringRequest {
  knownKeys('Recurring', options, ['name', 'timeZone', 'missed', 'topic', 'connection']);
  const text = checkShortText('Recurring.cron', cron).trim();
  if (!/\s|^@/.test(text))
    throw new InvalidOptionError('Recurring.cron', cron, "a cron expression, such as '0 3 * * *' (at three each day)");
  const routeName = checkRoute('route', typeof route === 'object' && route !== null ? route.route : route);
  if (routeName.split('.').some((word) => word === '*' || word === '#'))
    throw new InvalidOptionError('route', routeName, 'a route without wildcards');
  const { name = routeName, timeZone = 'UTC', missed = 'once', topic, connection } = options;
  if (Buffer.byteLength(checkName('Recurring.name', name)) > MOST_NAME_BYTES)
    throw new InvalidOptionError('Recurring.name', name, `at most ${MOST_NAME_BYTES} bytes: give a shorter «name»`);
  return {
    cron: text,
    route,
    name,
    timeZone: checkShortText('Recurring.timeZone', timeZone),
    missed: oneOf('Recurring.missed', missed, ['skip', 'once', 'all']),
    ...(topic !== undefined && { topic: checkShortText('Recurring.topic', topic) }),
    ...(connection !== undefined && { connection: checkShortText('Recurring.connection', connection) }),
  };
}
