/** The names of everything this transport owns on the broker; all of them derive from the exchange's. */
export interface Names {
  /** Topic exchange that routes are published to. */
  readonly exchange: string;
  /** Direct exchange that dead letters are published to: no pattern can reach it. */
  readonly deadLetters: string;
  /** Headers exchange where a delay begins. */
  readonly delay: string;
  /** Direct exchange where a delay ends: bound by the names of queues. */
  readonly due: string;
  /** Fanout exchange that takes what `due` cannot route. */
  readonly unrouted: string;
  /** Queue of the forwarder: what is due and must be routed once more. */
  readonly dueQueue: string;
}

export function namesOf(exchange: string): Names {
  return {
    exchange,
    deadLetters: `${exchange}.dlx`,
    delay: `${exchange}.delay`,
    due: `${exchange}.due`,
    unrouted: `${exchange}.due.unrouted`,
    dueQueue: `${exchange}.due`,
  };
}

/** Where the messages of a queue wait while another takes its place. */
export function asideOf(queue: string): string {
  return `${queue}.migrating`;
}

/** Headers that only this transport and the broker read. They are taken off on receipt. */
export const DELAY_PREFIX = 'messaging-delay';

export const transportHeader = {
  /** The first level of a delay. */
  delay: DELAY_PREFIX,
  /** `messaging-delay-<level>`: the next level, or `due`. */
  hop: (level: number): string => `${DELAY_PREFIX}-${level}`,
  /** Where the forwarder publishes when the delay is over. */
  targetExchange: `${DELAY_PREFIX}-exchange`,
  targetKey: `${DELAY_PREFIX}-key`,
  /** The publisher does not mind when nobody takes the message. */
  optional: `${DELAY_PREFIX}-optional`,
  /** How often the message was due already without anybody to take it. */
  round: `${DELAY_PREFIX}-round`,
  /** AMQP properties that a copy must not carry, kept as headers. */
  userId: 'messaging-origin-user-id',
  expiration: 'messaging-origin-expiration',
  cc: 'messaging-origin-cc',
} as const;
