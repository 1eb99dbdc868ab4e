import 'reflect-metadata';
import { checkMethod } from '../errors/decorated-method.js';
import type { MessageContract } from '../message/message-contract.js';
import {
  type RecurringFire,
  type RecurringOptions,
  type RecurringRequest,
  recurringRequest,
} from './recurring-options.js';

const RECURRING = Symbol.for('nestjs-messaging:recurring');

/** Decorates methods that make the body of a message for a time. */
export type RecurringDecorator<Body> = <M extends (fire: RecurringFire) => Body | Promise<Body>>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * Publishes what this method returns, at the times of a cron expression: once for each, however many processes run, by one of
 * them. The message of a time has the same id whoever publishes it, so that an `idempotent` subscription knows a second one.
 * It needs the package `croner`, and the module's `coordination`.
 * @throws InvalidOptionError, SubscriptionConflictError for what is no method of instances
 */
export function Recurring<Body = unknown>(
  cron: string,
  route: MessageContract<Body> | string,
  options: RecurringOptions = {},
): RecurringDecorator<Body> {
  const request = recurringRequest(cron, route as MessageContract<never>, options);
  return (target: object, property: string | symbol, descriptor?: PropertyDescriptor) => {
    checkMethod('@Recurring', 'make recurring messages', target, property, descriptor);
    const own = (Reflect.getOwnMetadata(RECURRING, target, property) ?? []) as readonly RecurringRequest[];
    Reflect.defineMetadata(RECURRING, [request, ...own], target, property);
  };
}

/** What `@Recurring` said about a method. */
export function recurringOf(prototype: object, method: string | symbol): readonly RecurringRequest[] {
  return (Reflect.getMetadata(RECURRING, prototype, method) ?? []) as readonly RecurringRequest[];
}
