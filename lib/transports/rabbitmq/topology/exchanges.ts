import { InvalidOptionError } from '../../../errors/configuration-errors.js';
import { checkBoolean, checkShortText, knownKeys } from '../../../errors/option-checks.js';
import type { Operation } from './operations.js';

/** A binding to an exchange. */
export interface RabbitmqBinding {
  readonly exchange: string;
  /** Binding key, with `*` and `#` where the exchange is a topic one. May be empty. */
  readonly key: string;
  /** Of the binding, as a headers exchange compares them. */
  readonly arguments?: Readonly<Record<string, unknown>>;
}

/** An exchange that is not durable, not of type topic, or that others lead to. */
export interface RabbitmqExchange {
  readonly name: string;
  /** `topic` (default), `direct`, `fanout`, `headers`, or a type of a plugin. */
  readonly type?: string;
  /** Default true. */
  readonly durable?: boolean;
  /** Default false. */
  readonly autoDelete?: boolean;
  /** Nobody can publish to it. Default false. */
  readonly internal?: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** False: it is somebody else's to make, and has to be there. Default true. */
  readonly declare?: boolean;
  /** The exchanges from which messages reach this one. */
  readonly bindings?: readonly RabbitmqBinding[];
}

const NAMES = ['name', 'type', 'durable', 'autoDelete', 'internal', 'arguments', 'declare', 'bindings'];

/** By name. @throws InvalidOptionError */
export function checkExchanges(given: readonly RabbitmqExchange[] = []): ReadonlyMap<string, RabbitmqExchange> {
  const exchanges = new Map<string, RabbitmqExchange>();
  for (const exchange of list('exchanges', given)) {
    knownKeys('rabbitmq.exchanges', exchange, NAMES);
    const { name, type = 'topic', bindings, durable, autoDelete, internal, declare } = exchange;
    if (exchanges.has(checkShortText('rabbitmq.exchanges.name', name)))
      throw new InvalidOptionError('rabbitmq.exchanges.name', name, 'each exchange once');
    checkShortText('rabbitmq.exchanges.type', type);
    for (const [option, value] of Object.entries({ durable, autoDelete, internal, declare }))
      if (value !== undefined) checkBoolean(`rabbitmq.exchanges.${option}`, value);
    checkBindings('exchanges.bindings', bindings);
    exchanges.set(name, exchange);
  }
  return exchanges;
}

/** @throws InvalidOptionError */
export function checkBindings(option: string, given: readonly RabbitmqBinding[] = []): readonly RabbitmqBinding[] {
  for (const binding of list(option, given)) {
    knownKeys(`rabbitmq.${option}`, binding, ['exchange', 'key', 'arguments']);
    checkShortText(`rabbitmq.${option}.exchange`, binding.exchange);
    if (binding.key !== '') checkShortText(`rabbitmq.${option}.key`, binding.key);
  }
  return given;
}

function list<T>(option: string, given: readonly T[]): readonly T[] {
  const array: unknown = given;
  if (!Array.isArray(array)) throw new InvalidOptionError(`rabbitmq.${option}`, given, 'an array');
  return given;
}

/** As the options say, or else a durable one of this type. */
export function exchangeOperation(
  exchanges: ReadonlyMap<string, RabbitmqExchange>,
  name: string,
  otherwise: string,
): Operation {
  const { type = otherwise, declare = true, bindings: _, ...given } = exchanges.get(name) ?? { name };
  return { kind: 'exchange', ...given, name, type, ...(!declare && { adopted: true }) };
}

/** All of them, before the bindings between them. */
export function exchangeOperations(exchanges: ReadonlyMap<string, RabbitmqExchange>): Operation[] {
  return [
    ...[...exchanges.keys()].map((name) => exchangeOperation(exchanges, name, 'topic')),
    ...[...exchanges.values()].flatMap(({ name, bindings = [] }) =>
      bindings.map(
        ({ exchange, key, arguments: args = {} }) =>
          ({ kind: 'exchange-binding', destination: name, source: exchange, key, arguments: args }) as const,
      ),
    ),
  ];
}
