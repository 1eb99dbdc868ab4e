import { describe, expect, it } from '@jest/globals';
import { percentDecoded, redactor, redactUrl } from '../../../lib/transports/kit/redactor.js';

describe('redactor', () => {
  it('takes secrets in each spelling, URLs and named users out of a text', () => {
    const redact = redactor(['p@ss', undefined, '']);
    expect(redact("p@ss p%40ss amqp://a:b@c user 'joe'")).toBe("*** *** amqp://***@c user '***'");
  });

  it.each(['nats', 'amqps'])('takes a password with a slash or an @ out of a URL of the scheme %s', (scheme) => {
    expect(redactor([])(`cannot read ${scheme}://user:p@ss/word@host:1/v`)).toBe(
      `cannot read ${scheme}://***@host:1/v`,
    );
  });

  it('takes the longer one of two secrets first', () => {
    expect(redactor(['abc', 'abcdef'])('abcdef abc')).toBe('*** ***');
  });

  it('leaves a text without secrets as it is', () => {
    expect(redactor(['secret'])('no answer from nats://host:4222')).toBe('no answer from nats://host:4222');
  });
});

it('redactUrl takes the user part out of any URL, valid or not', () => {
  expect(redactUrl('amqp://user:p@ss/word@host/v')).toBe('amqp://***@host/v');
  expect(redactUrl('nats://user:pa ss@host')).toBe('nats://***@host');
  expect(redactUrl('amqp://host/v')).toBe('amqp://host/v');
  expect(redactUrl('user:p@ss/word@host/v')).toBe('***@host/v');
});

describe('percentDecoded', () => {
  it.each([
    ['p%40ss', 'p@ss'],
    ['50%', '50%'],
  ])('%s is %s', (written, meant) => {
    expect(percentDecoded(written)).toBe(meant);
  });
});
