import type { Channel } from 'amqplib';
import type { AmqpError } from '../connection/amqplib.js';
import { describe, reply, replyCode } from '../connection/broker-errors.js';
import { perform, type Operation } from './operations.js';

export type Declared = Extract<Operation, { readonly kind: 'queue' | 'exchange' }>;

/** In what the broker's queue or exchange differs from what is wanted. Undefined: it does not have that. */
export interface Difference {
  /** `x-queue-type`, `durable`, `type`, … */
  readonly name: string;
  readonly wanted: unknown;
  readonly found: unknown;
}

type Ask = (work: (channel: Channel) => Promise<void>) => Promise<void>;

/** More than there are arguments that RabbitMQ compares. */
const MOST_QUESTIONS = 30;

/**
 * All differences of something that exists, though the broker tells one at a time: it is declared again with each value
 * that was found, until the broker takes it for the same. Nothing is changed by that. `ask` opens a channel for each
 * question, since a refusal closes it.
 * @throws the broker's error where it says something else
 */
export async function differencesOf(operation: Declared, ask: Ask): Promise<Difference[]> {
  const differences: Difference[] = [];
  let now = operation;
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    try {
      await ask((channel) => perform(channel, now));
      return differences;
    } catch (error) {
      const difference =
        replyCode(error) === reply.preconditionFailed ? differenceIn(error as AmqpError, now) : undefined;
      if (difference === undefined || differences.some(({ name }) => name === difference.name)) {
        if (differences.length > 0) return differences;
        throw error;
      }
      differences.push({ ...difference, wanted: valueOf(operation, difference.name) ?? difference.wanted });
      now = withValue(now, difference.name, difference.found);
    }
  }
  return differences;
}

function differenceIn(error: AmqpError, now: Declared): Difference | undefined {
  const text = describe(error);
  const [, name, wanted, found] =
    /inequivalent arg '([^']+)' for (?:queue|exchange) '.*?: received (.+?) but current is (.+)$/s.exec(text) ?? [];
  if (name !== undefined) return { name, wanted: parse(wanted), found: parse(found, typeof valueOf(now, name)) };
  // What a queue of the type that was found cannot have, it does not have.
  const [, impossible] = /invalid arg '([^']+)' for queue/.exec(text) ?? [];
  return impossible === undefined
    ? undefined
    : { name: impossible, wanted: valueOf(now, impossible), found: undefined };
}

/** `none`, `the value '5' of type 'long'`, or `'5'` where the type is that of what is wanted. */
function parse(text: string, likeWanted?: string): unknown {
  const [, value, type] = /^(?:the value )?'(.*?)'(?: of type '(\w+)')?$/s.exec(text.trim()) ?? [];
  if (value === undefined) return undefined;
  if (value === 'true' || value === 'false') return value === 'true';
  const isNumber =
    type === undefined ? likeWanted === 'number' : type !== 'longstr' && type !== 'table' && type !== 'array';
  return isNumber && value !== '' && Number.isFinite(Number(value)) ? Number(value) : value;
}

const PROPERTIES: Readonly<Record<string, 'durable' | 'autoDelete' | 'type'>> = {
  durable: 'durable',
  auto_delete: 'autoDelete',
  type: 'type',
};

function valueOf(operation: Declared, name: string): unknown {
  const property = PROPERTIES[name];
  return property === undefined
    ? operation.arguments?.[name]
    : (operation as unknown as Readonly<Record<string, unknown>>)[property];
}

function withValue(operation: Declared, name: string, value: unknown): Declared {
  const property = PROPERTIES[name];
  return property === undefined
    ? { ...operation, arguments: { ...operation.arguments, [name]: value } }
    : { ...operation, [property]: value };
}
