import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from '../../../lib/errors/configuration-errors.js';
import {
  checkOptions,
  checkSubscriptionOptions,
  type RabbitmqOptions,
} from '../../../lib/transports/rabbitmq/options.js';
import { rabbitmq } from '../../../lib/transports/rabbitmq/rabbitmq.js';

describe('rabbitmq({…})', () => {
  it.each([
    ['url', { url: 'http://localhost' }],
    ['url', { url: 'amqp://user:pa ss@host:port' }],
    ['url', { url: 5 }],
    ['urls', { urls: [] }],
    ['urls', { url: 'amqp://a', urls: ['amqp://b'] }],
    ['exchange', { exchange: '' }],
    ['exchange', { exchange: 'amq.topic' }],
    ['queueType', { queueType: 'stream' }],
    ['deliveryLimit', { deliveryLimit: -1 }],
    ['heartbeat', { heartbeat: 1.5 }],
    ['connectTimeout', { connectTimeout: 0 }],
    ['maxBytes', { maxBytes: '5' }],
    ['vhost', { vhost: '' }],
    ['tls', { tls: true }],
    ['prefetch', { prefetch: 5 }],
  ])('refuses a wrong «%s» at once', (option, options) => {
    const act = (): unknown => rabbitmq(options as RabbitmqOptions);
    expect(act).toThrow(InvalidOptionError);
    expect(act).toThrow(`rabbitmq.${option}`);
  });

  it('the error of a broken URL does not show what stands before the @', () => {
    const act = (): unknown => rabbitmq({ url: 'amqp://user:planted@1@2@host:port' });
    expect(act).toThrow(InvalidOptionError);
    expect(act).not.toThrow('planted');
  });

  it.each([
    [{}, 'localhost:5672/'],
    [{ url: 'amqp://u:p@h' }, 'h:5672/'],
    [{ url: 'amqps://u:p@h/a%2Fb' }, 'h:5671/a/b'],
    [{ url: 'amqp://h:1/x', vhost: 'y' }, 'h:1/y'],
    [{ url: 'amqp://[::1]:5/' }, '[::1]:5/'],
  ])('%j is %s', (options, host) => {
    expect(rabbitmq(options).create().host).toBe(host);
  });

  it('each application gets a transport of its own', () => {
    const factory = rabbitmq();
    expect(factory.create()).not.toBe(factory.create());
  });

  it('no inspection shows a password, however it is written in the URL', () => {
    for (const url of ['amqp://u:planted@h', 'amqp://u:plan%74ed%25@h', 'amqp://u:planted%@h']) {
      const settings = checkOptions({ url });
      expect(inspect([settings, rabbitmq({ url }).create()], { depth: 10, showHidden: true })).not.toContain('planted');
      const [, written] = /:([^/].*)@/.exec(url) ?? [];
      expect(settings.addresses[0].redact(`no login with ${written}`)).not.toContain('plan');
    }
  });

  it('one active consumer is not contradicted by arguments', () => {
    const name = 'x-single-active-consumer';
    const made = (singleActiveConsumer: boolean, others: object) => () =>
      checkSubscriptionOptions({ singleActiveConsumer, arguments: others });
    expect(made(true, { [name]: false })).toThrow(/left out beside «singleActiveConsumer: true»/);
    expect(made(false, { [name]: true })).toThrow(/left out beside «singleActiveConsumer: false»/);
    expect(made(true, { 'x-max-priority': 5 })).toThrow(/keeps the order of the queue/);
    expect(made(true, { [name]: true, 'x-max-length': 5 })).not.toThrow();
    expect(made(false, { 'x-max-priority': 5 })).not.toThrow();
  });

  it('a subscription takes queueType, singleActiveConsumer and arguments only', () => {
    expect(checkSubscriptionOptions({ queueType: 'classic', arguments: { 'x-max-length': 5 } })).toBeDefined();
    for (const wrong of [{ prefetch: 5 }, { queueType: 'x' }, { arguments: 5 }, { singleActiveConsumer: 'yes' }]) {
      expect(() => checkSubscriptionOptions(wrong)).toThrow(InvalidOptionError);
    }
  });
});
