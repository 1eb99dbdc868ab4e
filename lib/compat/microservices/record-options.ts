import type { RmqRecordOptions } from '@nestjs/microservices';
import { InvalidOptionError, UnsupportedError } from '../../errors/configuration-errors.js';
import type { Headers } from '../../message/headers.js';
import type { PublishOptions } from '../../publisher/publish-options.js';

/** What the options of a record become. */
export interface RecordPublish {
  readonly publish: PublishOptions;
  readonly contentType?: string;
}

/** What has no counterpart, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  userId: 'put it into «headers», and let the consumer check it',
  CC: 'publish once for each route, or let the further queues be bound by this one',
  BCC: 'publish once for each route, or let the further queues be bound by this one',
  contentEncoding: 'encode the body in a serializer of your own, and say so in a header',
  type: 'nothing: the property holds the route. Put your own type into «headers»',
  appId: 'put it into «headers»',
};

/** Left to this package: every message is persistent, and says when it was published. */
const OURS = ['persistent', 'deliveryMode', 'timestamp'];

/** The options of RmqRecordBuilder, as those of a publish. @throws UnsupportedError that names what has no counterpart */
export function publishOptionsOf(options: RmqRecordOptions = {}, headers?: Headers): RecordPublish {
  const { headers: own, expiration, messageId, mandatory, contentType, priority, ...rest } = options;
  for (const [name, value] of Object.entries(rest)) {
    if (value === undefined || OURS.includes(name)) continue;
    const help = REFUSED[name];
    if (help === undefined)
      throw new InvalidOptionError(`options.${name}`, value, `nothing of that name; leave it out`);
    throw new UnsupportedError(`The option «${name}» of a record is not supported: ${help}`);
  }
  const merged = headers || own ? { ...headers, ...own } : undefined;
  return {
    publish: {
      ...(merged && { headers: merged }),
      ...(messageId !== undefined && { id: messageId }),
      ...(expiration !== undefined && { ttl: milliseconds(expiration) }),
      ...(priority !== undefined && { priority }),
      ...(mandatory !== undefined && { unroutable: mandatory ? 'reject' : 'ignore' }),
    },
    ...(contentType !== undefined && { contentType }),
  };
}

function milliseconds(expiration: string | number): number {
  const ms = Number(expiration);
  if (Number.isInteger(ms) && ms > 0) return ms;
  throw new InvalidOptionError('options.expiration', expiration, 'a whole number of milliseconds, 1 or more');
}
