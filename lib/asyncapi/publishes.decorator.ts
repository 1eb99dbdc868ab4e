import 'reflect-metadata';
import type { Described, Route } from '../consumer/subscription/subscription-options.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { RequestContract } from '../message/request-contract.js';
import { checkName, checkPattern, checkRoute, knownKeys } from '../errors/option-checks.js';

/** What is published: a contract, a route or pattern, or one of them with what documents say of it. */
export type Publication = Route | DescribedPublication;

export interface DescribedPublication extends Described {
  readonly route: Route;
  /** The connection it is published on, where an application has several. */
  readonly connection?: string;
  /** Where it is published (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
}

const PUBLICATIONS = Symbol.for('nestjs-messaging:publications');
const NAMES = [
  'route',
  'schema',
  'serializer',
  'reply',
  'connection',
  'topic',
  'summary',
  'description',
  'tags',
  'deprecated',
];

/**
 * Says what a provider or controller publishes: `@Publishes(orderCreated, orderPaid)`. It is for documents only; nothing
 * that is published depends on it.
 * @throws InvalidOptionError
 */
export function Publishes(...publications: readonly Publication[]): ClassDecorator {
  for (const one of publications) checkPublication('Publishes', one);
  return (target) => {
    const own = Reflect.getOwnMetadata(PUBLICATIONS, target) as readonly Publication[] | undefined;
    Reflect.defineMetadata(PUBLICATIONS, [...publications, ...(own ?? [])], target);
  };
}

/** What `@Publishes` said about a class. */
export function publicationsOf(type: object): readonly Publication[] {
  return (Reflect.getMetadata(PUBLICATIONS, type) as readonly Publication[] | undefined) ?? [];
}

/** @throws InvalidOptionError */
export function checkPublication(option: string, publication: Publication): void {
  const { route, connection } = described(publication);
  const { route: name } = contract(route);
  checkPattern(option, checkRoute(option, name));
  if (connection !== undefined) checkName(`${option}.connection`, connection);
  if (typeof publication === 'object') knownKeys(option, publication, NAMES);
}

/** A publication with all that can be said of it. */
export function described(publication: Publication): DescribedPublication {
  if (typeof publication === 'string') return { route: publication };
  if (typeof publication !== 'object' || publication === null)
    throw new InvalidOptionError('publishes', publication, 'a contract or a route');
  const { route, schema, serializer, reply, ...rest } = publication as DescribedPublication & RequestContract;
  const given = { ...(schema && { schema }), ...(serializer && { serializer }), ...(reply && { reply }) };
  return { ...rest, route: { ...contract(route), ...given } };
}

export function contract(route: Route): Exclude<Route, string> {
  return typeof route === 'string' ? { route } : route;
}
