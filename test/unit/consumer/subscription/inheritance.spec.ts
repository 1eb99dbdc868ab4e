import { describe, expect, test } from '@jest/globals';
import {
  batchSubscriptionsOf,
  SubscribeBatch,
} from '../../../../lib/consumer/subscription/subscribe-batch.decorator.js';
import { Subscribe, subscriptionsOf } from '../../../../lib/consumer/subscription/subscribe.decorator.js';

class Base {
  @Subscribe('base')
  @Subscribe('base.too', { name: 'too' })
  on(): void {}
}

const routes = (type: { prototype: object }): unknown[] => [
  ...subscriptionsOf(type.prototype, 'on'),
  ...batchSubscriptionsOf(type.prototype, 'on'),
];
const BASE = [{ route: 'base' }, { route: 'base.too', name: 'too' }];

describe('a subclass', () => {
  test('without the method has what its base says', () => {
    class Sub extends Base {}
    expect(routes(Sub)).toEqual(BASE);
  });

  test('that overrides without a decorator handles what its base says', () => {
    class Sub extends Base {
      override on(): void {}
    }
    expect(routes(Sub)).toEqual(BASE);
  });

  test('that overrides with the same route has it once', () => {
    class Sub extends Base {
      @Subscribe('base')
      override on(): void {}
    }
    expect(routes(Sub)).toEqual([{ route: 'base' }]);
  });

  test('that overrides with others listens to those alone, however deep', () => {
    class Sub extends Base {
      @Subscribe('new')
      @Subscribe('newer', { name: 'newer' })
      override on(): void {}
    }
    class Deeper extends Sub {}
    for (const type of [Sub, Deeper])
      expect(routes(type)).toEqual([{ route: 'new' }, { route: 'newer', name: 'newer' }]);
    expect(routes(Base)).toEqual(BASE);
  });

  test('that overrides by a batch is a batch alone, and the other way round', () => {
    class Sub extends Base {
      @SubscribeBatch('base', { size: 5 })
      override on(): void {}
    }
    class Deeper extends Sub {
      @Subscribe('single')
      override on(): void {}
    }
    expect(routes(Sub)).toEqual([{ route: 'base', size: 5 }]);
    expect(routes(Deeper)).toEqual([{ route: 'single' }]);
  });

  test('can replace what one of its base’s does, and leave the other', () => {
    class Two extends Base {
      @Subscribe('other')
      other(): void {}
    }
    class Sub extends Two {
      @Subscribe('new')
      override on(): void {}
    }
    expect(routes(Sub)).toEqual([{ route: 'new' }]);
    expect(subscriptionsOf(Sub.prototype, 'other')).toEqual([{ route: 'other' }]);
  });
});

test.each<[string, () => unknown]>([
  ['a static method', () => Subscribe('r')(Base, 'name', { value: () => {} })],
  ['a property', () => Subscribe('r')(Base.prototype, 'field', undefined as never)],
  ['an accessor', () => SubscribeBatch('r', { size: 1 })(Base.prototype, 'field', { get: () => () => {} })],
  ['a method named by a symbol', () => Subscribe('r')(Base.prototype, Symbol('s'), { value: () => {} })],
])('%s, which nothing would ever call, cannot subscribe', (_, decorate) => {
  expect(decorate).toThrow(expect.objectContaining({ code: 'SUBSCRIPTION_CONFLICT' }));
});
