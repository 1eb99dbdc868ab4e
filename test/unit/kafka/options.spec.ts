import { describe, expect, it } from '@jest/globals';
import { checkOptions } from '../../../lib/transports/kafka/options.js';

const configOf = (brokers: string | string[]) => checkOptions({ brokers }).config('test');

describe('several brokers', () => {
  it.each([
    [['a:1', 'kafka://ada:planted@b:2']],
    [['kafka://ada:planted@a:1', 'kafka://bob:planted@b:2']],
    [['kafka://ada:planted@a:1', 'kafka://ada:planted2@b:2']],
    [['kafka://ada:planted@a:1', 'kafkas://b:2']],
    ['kafka://a:1,kafkas://ada:planted@b:2'],
  ])('of different schemes or users are refused, without a password in the error: %j', (brokers) => {
    const refused = expect(() => checkOptions({ brokers }));
    refused.toThrow('one scheme and one user for all brokers');
    refused.not.toThrow(/planted/);
  });

  it.each([
    ['kafkas://ada:secret@a:1,b:2'],
    [['kafkas://ada:secret@a:1', 'b:2']],
    [['kafkas://ada:secret@a:1', 'kafkas://ada:secret@b:2']],
  ])('have the scheme and the user of the first: %j', (brokers) => {
    const sasl = { mechanism: 'plain', username: 'ada', password: 'secret' };
    expect(configOf(brokers)).toMatchObject({ brokers: ['a:1', 'b:2'], ssl: true, sasl });
  });
});
