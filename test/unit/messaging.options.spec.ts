import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../lib/clock/clock.js';
import { type MessagingModuleOptions, resolveOptions } from '../../lib/messaging.options.js';
import { FakeTransport } from './support/fake-transport.js';

describe('options', () => {
  test('have the defaults that are documented', () => {
    expect(resolveOptions({})).toMatchObject({
      service: 'app',
      transport: { system: 'memory' },
      retryQueue: {
        store: { kind: 'memory' },
        interval: 1_000,
        maxMessages: 10_000,
        maxBytes: 64 * 2 ** 20,
        whenFull: 'reject',
        waitTimeout: 5_000,
      },
      retry: {},
      reconnect: { initial: 200, max: 30_000, jitter: 0.2 },
      confirmTimeout: 10_000,
      maxInFlight: 2_000,
      unroutable: 'reject',
      provision: true,
      consume: true,
      subscriptions: {},
      shutdownTimeout: 10_000,
      middleware: [],
      publishMiddleware: [],
      globalEnhancers: false,
      deadLetterStack: true,
      clock: systemClock,
    });
  });

  test('that are undefined, as from a configuration, are the defaults, but for the name of the service', () => {
    const names = Object.keys(resolveOptions({})).filter((key) => key !== 'service');
    const keys = names.map((key) => [key, undefined]);
    expect(resolveOptions(Object.fromEntries(keys) as MessagingModuleOptions)).toEqual(
      expect.objectContaining({ service: 'app', maxInFlight: 2_000, consume: true }),
    );
  });

  test('a reconnect that begins late does not end before it begins', () => {
    expect(resolveOptions({ reconnect: { initial: 60_000 } }).reconnect).toEqual({
      initial: 60_000,
      max: 60_000,
      jitter: 0.2,
    });
  });

  test('service is needed where other applications share the broker', () => {
    expect(() => resolveOptions({ transport: new FakeTransport() })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'service' }),
    );
  });

  test.each<[string, object, string]>([
    ['service', { service: 'a:b' }, 'without «:»'],
    ['service', { service: '' }, 'a text of 1 to 255 bytes'],
    ['service', { service: 5 }, 'a text of 1 to 255 bytes'],
    ['service', { service: undefined }, 'a value, or leave it out for «app»'],
    ['transport', { transport: 'amqp://host' }, 'rabbitmq({ … })'],
    ['transport', { transport: {} }, 'rabbitmq({ … })'],
    ['retryQueue', { retryQueue: 5 }, 'an object'],
    ['retryQueue.store', { retryQueue: { store: 'disk' } }, 'memoryRetryQueue()'],
    ['retryQueue.interval', { retryQueue: { interval: 0 } }, 'a number from 1'],
    ['retryQueue.maxMessages', { retryQueue: { maxMessages: 1.5 } }, 'a whole number from 1'],
    ['retryQueue.maxBytes', { retryQueue: { maxBytes: 0 } }, 'a whole number from 1'],
    ['retryQueue.whenFull', { retryQueue: { whenFull: 'drop' } }, "'reject' | 'wait'"],
    ['retryQueue.waitTimeout', { retryQueue: { waitTimeout: -1 } }, 'a number from 0'],
    ['retryQueue.max', { retryQueue: { max: 5 } }, 'there are: store, interval, maxMessages'],
    ['retry.attempts', { retry: { attempts: 0 } }, 'a whole number, 1 or more'],
    ['retry.attempt', { retry: { attempt: 2 } }, 'there are: attempts, immediate'],
    ['reconnect.initial', { reconnect: { initial: 0 } }, 'a number from 1'],
    ['reconnect.max', { reconnect: { initial: 500, max: 100 } }, 'a number from 500'],
    ['reconnect.jitter', { reconnect: { jitter: 2 } }, 'a number from 0 to 1'],
    ['reconnect.factor', { reconnect: { factor: 2 } }, 'nothing of that name'],
    ['confirmTimeout', { confirmTimeout: NaN }, 'a number from 1'],
    ['maxInFlight', { maxInFlight: 0 }, 'a whole number from 1 to 65535'],
    ['maxInFlight', { maxInFlight: '10' }, 'a whole number from 1 to 65535'],
    ['unroutable', { unroutable: 'drop' }, "'reject' | 'queue' | 'ignore'"],
    ['provision', { provision: 'yes' }, 'true or false'],
    ['consume', { consume: 1 }, 'true or false'],
    ['subscriptions', { subscriptions: 5 }, 'an object of overrides'],
    ["subscriptions['a']", { subscriptions: { a: true } }, 'an object of options, or false'],
    ['shutdownTimeout', { shutdownTimeout: -1 }, 'a number from 0'],
    ['serializer', { serializer: { serialize: () => 1 } }, 'serialize() and deserialize()'],
    ['middleware', { middleware: {} }, 'an array of functions'],
    ['publishMiddleware', { publishMiddleware: ['x'] }, 'an array of functions'],
    ['globalEnhancers', { globalEnhancers: null }, 'true or false'],
    ['deadLetterStack', { deadLetterStack: 0 }, 'true or false'],
    ['options.retries', { retries: 5 }, 'nothing of that name; there are: service, transport'],
  ])('%s: %j is refused with its name, its value and what is allowed', (option, options, allowed) => {
    expect(() => resolveOptions(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, message: expect.stringContaining(allowed) }),
    );
  });

  test.each([[null], [5], ['x']])('%j are no options', (options) => {
    expect(() => resolveOptions(options as never)).toThrow(expect.objectContaining({ option: 'options' }));
  });
});
