import * as root from 'nestjs-messaging';
import { describe, expect, test } from '@jest/globals';
import { InvalidOptionError, MissingPeerError } from '../../../lib/errors/configuration-errors.js';
import { RetryLaterError, UnrecoverableError } from '../../../lib/errors/handling-errors.js';
import { MessagingError } from '../../../lib/errors/messaging-error.js';
import { errorMessage, redactCredentials } from '../../../lib/errors/redact.js';
import { redactedLog } from '../../../lib/events/log.js';

describe('redaction', () => {
  test.each([
    ['amqp://user:secret@host:5672/vhost', 'amqp://***@host:5672/vhost'],
    ['AMQPS://user@host', 'AMQPS://***@host'],
    ['a postgres+ssl://u:p@h/d and redis://:p@r', 'a postgres+ssl://***@h/d and redis://***@r'],
    ['amqp://u:p@h1,amqp://u:p@h2', 'amqp://***@h1,amqp://***@h2'],
    ['amqp://u:p@ss@host', 'amqp://***@host'],
    ['"amqp://u:p@h"', '"amqp://***@h"'],
    ['https://host/path?mail=a@b', 'https://host/path?mail=a@b'],
    ['user@host without a URL', 'user@host without a URL'],
    ['https://host/@scope', 'https://host/@scope'],
    ['', ''],
  ])('%s', (text, clean) => {
    expect(redactCredentials(text)).toBe(clean);
  });

  test('costs no more than the length of the text, whatever the text is', () => {
    for (const part of ['a', 'a ', 'a://', ':', '://', 'a:@', '@', '://x@']) {
      const text = `${part.repeat(200_000)} ://u:p@h`;
      const before = process.cpuUsage();
      redactCredentials(text);
      expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
    }
  });

  test('of what was thrown works for everything that can be thrown', () => {
    expect(errorMessage(new Error('at amqp://u:p@h'))).toBe('at amqp://***@h');
    expect(errorMessage(new TypeError(''))).toBe('TypeError');
    expect(errorMessage('text')).toBe('text');
    expect(errorMessage(undefined)).toBe('undefined');
    expect(errorMessage(Symbol('s'))).toBe('Symbol(s)');
    expect(errorMessage(Object.create(null))).toBe('a thrown value that has no text');
    expect(
      errorMessage({
        toString: () => {
          throw new Error('no');
        },
      }),
    ).toBe('a thrown value that has no text');
    expect(errorMessage(Object.assign(new Error('x'), { message: { a: 1 } }))).toBe('[object Object]');
  });

  test('covers every level of the log', () => {
    const lines: string[] = [];
    const push = (line: string): void => void lines.push(line);
    const log = redactedLog({ log: push, warn: push, error: push, debug: push });
    for (const level of ['log', 'warn', 'error', 'debug'] as const) log[level]('amqp://u:p@h');
    expect(lines).toEqual(Array(4).fill('amqp://***@h'));
  });
});

describe('errors', () => {
  test('an option’s error names option, value and what is allowed, shortens long texts and shows no credentials', () => {
    expect(new InvalidOptionError('a.b', 5, 'x').message).toBe('Option «a.b» is 5; allowed: x');
    expect(new InvalidOptionError('a', 'x'.repeat(100), 'y').message).toBe(
      `Option «a» is "${'x'.repeat(80)}…"; allowed: y`,
    );
    expect(new InvalidOptionError('a', 'amqp://u:p@h', 'y').message).toBe('Option «a» is "amqp://***@h"; allowed: y');
    expect(new InvalidOptionError('a', [1], 'y').message).toContain('an array');
    expect(new InvalidOptionError('a', { a: 1 }, 'y').message).toContain('an object');
    expect(new InvalidOptionError('a', () => 1, 'y').message).toContain('a function');
    expect(new InvalidOptionError('a', 1n, 'y').message).toContain('is 1;');
    expect(new InvalidOptionError('a', Symbol('s'), 'y').message).toContain('Symbol(s)');
  });

  test('a missing peer is told with the command that installs it', () => {
    expect(new MissingPeerError('amqplib', '^2', 'rabbitmq()').message).toContain('npm install amqplib@^2');
  });

  test('carry their class’s name and their cause', () => {
    const cause = new Error('why');
    expect(new UnrecoverableError('no', { cause })).toMatchObject({
      name: 'UnrecoverableError',
      cause,
      retryable: false,
    });
    expect(new RetryLaterError(5)).toMatchObject({ name: 'RetryLaterError', delayMs: 5, retryable: true });
  });

  test('each has a code of its own', () => {
    const classes = Object.values(root as Record<string, unknown>).filter(
      (one) => typeof one === 'function' && one.prototype instanceof MessagingError,
    ) as (new (...args: unknown[]) => MessagingError)[];
    const codes = classes.map((Class) => new Class(1, 2, 3).code);
    expect(classes.length).toBeGreaterThanOrEqual(20);
    expect(new Set(codes).size).toBe(classes.length);
    expect(codes.every((code) => /^[A-Z_]+$/.test(code))).toBe(true);
  });
});
