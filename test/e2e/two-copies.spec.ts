import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import * as common from '@nestjs/common';
import { Injectable, type Type } from '@nestjs/common';
import * as core from '@nestjs/core';
import * as own from 'nestjs-messaging';
import { memory, MemoryBroker, MessagingModule } from 'nestjs-messaging';
import { boot, closeApplications, Seen } from './support/application.js';

type Package = typeof own;

/** A second copy of the package, as a monorepo loads it where a package has dependencies of its own. */
let copy!: Package;
jest.isolateModules(() => {
  for (const [name, nest] of Object.entries({ '@nestjs/common': common, '@nestjs/core': core }))
    jest.doMock(name, () => nest);
  copy = jest.requireActual<Package>('nestjs-messaging');
});

afterEach(closeApplications);

/** What a package of the monorepo has: a provider made with the copy that it finds. */
function billingOf({ Subscribe, Publisher, Messaging, DeadLetters }: Package, connection?: string) {
  const seen = new Seen<unknown>();
  class Billing {
    constructor(
      readonly publisher: own.Publisher,
      readonly messaging: own.Messaging,
      readonly deadLetters: own.DeadLetters,
    ) {}
    bill(order: unknown): void {
      seen.add(order);
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Publisher, Messaging, DeadLetters], Billing);
  Injectable()(Billing);
  Subscribe('order.created', { name: 'billing', connection })(
    Billing.prototype,
    'bill',
    Object.getOwnPropertyDescriptor(Billing.prototype, 'bill')!,
  );
  return { Billing: Billing as Type<Billing>, seen };
}

describe('two copies of the package in one application', () => {
  let broker: MemoryBroker;
  beforeEach(() => {
    broker = new MemoryBroker();
  });

  test('are two', () => {
    expect(copy.Publisher).not.toBe(own.Publisher);
  });

  test.each([
    ['this one has the module', () => copy],
    ['the other one has the module', () => own],
  ])('share what is injected by its class, where %s', async (_, other) => {
    const module = (other() === own ? copy : own).MessagingModule;
    const { Billing, seen } = billingOf(other());
    const { get } = await boot({
      imports: [module.forRoot({ service: 'shop', transport: memory({ broker }) })],
      providers: [Billing],
    });
    const { publisher, messaging, deadLetters } = get(Billing);
    expect(await publisher.publish('order.created', 'book')).toMatchObject({ outcome: 'confirmed' });
    expect(await seen.until(1)).toEqual(['book']);
    expect([messaging.publisher, messaging.deadLetters]).toEqual([publisher, deadLetters]);
    expect(get(own.Messaging)).toBe(get(copy.Messaging));
  });

  test('share the connection with a module that imports the class of the other one', async () => {
    const { Billing } = billingOf(copy);
    class BillingModule {}
    common.Module({ imports: [copy.MessagingModule], providers: [Billing] })(BillingModule);
    const module = MessagingModule.forRoot({ service: 'shop', transport: memory({ broker }) });
    const { get } = await boot({ imports: [module, BillingModule] });
    expect(get(Billing).publisher).toBe(get(own.Publisher));
  });

  test('have one connection each, and each its own subscriptions', async () => {
    const mine = billingOf(own);
    const theirs = billingOf(copy, 'other');
    const other = new MemoryBroker();
    const { get } = await boot({
      imports: [
        MessagingModule.forRoot({ service: 'shop', transport: memory({ broker }) }),
        copy.MessagingModule.forRoot({ service: 'shop', transport: memory({ broker: other }), connection: 'other' }),
      ],
      providers: [mine.Billing, theirs.Billing],
    });
    await get(mine.Billing).publisher.publish('order.created', 'book');
    expect(await mine.seen.until(1)).toEqual(['book']);
    await get<own.Publisher>(own.getPublisherToken('other') as never).publish('order.created', 'lamp');
    expect(await theirs.seen.until(1)).toEqual(['lamp']);
    expect([mine.seen.all, theirs.seen.all]).toEqual([['book'], ['lamp']]);
  });
});
