import { afterEach, describe, expect, test } from '@jest/globals';
import { Injectable, Module, Scope } from '@nestjs/common';
import { message, MessagingModule, type MessagingModuleOptions } from 'nestjs-messaging';
import { CheckTransaction, memoryTransactionRecords, type TransactionOutcome } from 'nestjs-messaging/transaction';
import { boot, closeApplications } from '../../e2e/support/application.js';

afterEach(closeApplications);

const transactions = { store: memoryTransactionRecords() };

function start(providers: any[], options: MessagingModuleOptions = { transactions }): ReturnType<typeof boot> {
  return boot({ imports: [MessagingModule.forRoot(options)], providers });
}

@Injectable()
class Orders {
  answer: TransactionOutcome = 'committed';

  @CheckTransaction('order.created')
  @CheckTransaction(message<{ id: string }>('order.paid'))
  async wasWritten(): Promise<TransactionOutcome> {
    return this.answer;
  }
}

describe('@CheckTransaction', () => {
  test('methods are found at bootstrap, with their instance, for every route they name', async () => {
    const { messaging, get } = await start([Orders]);
    await messaging.subscribe({ route: '#' }, () => undefined);
    get(Orders).answer = 'rolled-back';
    for (const route of ['order.created', 'order.paid'])
      await expect(
        messaging.publisher.publishInTransaction(route, 1, () => Promise.reject(new Error('no'))),
      ).rejects.toThrow('no');
    get(Orders).answer = 'committed';
    const receipt = await messaging.publisher.publishInTransaction('order.paid', 1, () =>
      Promise.reject(new Error('no')),
    );
    expect(receipt.outcome).toBe('confirmed');
    await expect(messaging.publisher.publishInTransaction('order.shipped', 1, () => 1)).rejects.toThrow(
      "write a method @CheckTransaction('order.shipped') in a provider; there are some for: order.created, order.paid",
    );
  });

  test('are found in a process that only publishes, and once for a provider that several modules share', async () => {
    @Module({ providers: [Orders], exports: [Orders] })
    class Shared {}
    @Module({ imports: [Shared], exports: [Shared] })
    class Other {}
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ transactions, consume: false, unroutable: 'ignore' }), Shared, Other],
    });
    expect(await messaging.publisher.publishInTransaction('order.created', 1, () => 1)).toMatchObject({
      outcome: 'confirmed',
    });
  });

  test('one that is inherited is found, also where it is overridden', async () => {
    @Injectable()
    class Special extends Orders {
      override async wasWritten(): Promise<TransactionOutcome> {
        return 'rolled-back';
      }
    }
    const { messaging } = await start([Special]);
    await expect(
      messaging.publisher.publishInTransaction('order.paid', 1, () => Promise.reject(new Error('no'))),
    ).rejects.toThrow('no');
  });

  test('two for one route are refused, with the names of both', async () => {
    @Injectable()
    class Payments {
      @CheckTransaction('order.paid')
      async wasPaid(): Promise<TransactionOutcome> {
        return 'unknown';
      }
    }
    await expect(start([Orders, Payments])).rejects.toMatchObject({
      code: 'SUBSCRIPTION_CONFLICT',
      message:
        "Payments.wasPaid and Orders.wasWritten both have @CheckTransaction('order.paid'): which of them knows? Leave it to one",
    });
  });

  test('one without a store for records, on no connection, or per request is refused at bootstrap', async () => {
    await expect(start([Orders], {})).rejects.toThrow('sqliteTransactionRecords({ file })');
    @Injectable()
    class Elsewhere {
      @CheckTransaction('order.paid', { connection: 'audit' })
      async wasPaid(): Promise<TransactionOutcome> {
        return 'unknown';
      }
    }
    await expect(start([Elsewhere])).rejects.toThrow(
      'Elsewhere.wasPaid checks transactions of «order.paid» on the connection «audit», which no MessagingModule provides',
    );
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @CheckTransaction('order.paid')
      async wasPaid(): Promise<TransactionOutcome> {
        return 'unknown';
      }
    }
    await expect(start([PerRequest])).rejects.toThrow(
      'PerRequest.wasPaid has @CheckTransaction, and there is one PerRequest per request',
    );
  });

  test('is refused on what is no method of instances, and for a route that cannot be', () => {
    const decorate = CheckTransaction('order.paid') as (...args: unknown[]) => void;
    class Misused {
      static check(): void {}
      value = 1;
    }
    expect(() => decorate(Misused, 'check', Object.getOwnPropertyDescriptor(Misused, 'check'))).toThrow(
      'Misused.check (static) cannot check transactions: @CheckTransaction is for methods of instances',
    );
    expect(() => decorate(Misused.prototype, 'value')).toThrow('Misused.value cannot check transactions');
    expect(() => decorate(Misused)).toThrow('cannot check transactions');
    expect(() => CheckTransaction('')).toThrow('«route»');
    expect(() => CheckTransaction('order.*')).toThrow('a route without wildcards');
    expect(() => CheckTransaction('order.paid', { conection: 'a' } as never)).toThrow('conection');
  });
});
