import { expect, it } from '@jest/globals';
import { nats } from '../../../lib/transports/nats/nats.js';

it.each(['nats://user:pa ss@host:port', 'nats://user:pl/an#ss@ho st', 'http://user:pass@host'])(
  'an error about a URL that cannot be used does not show its password: %s',
  (url) => {
    const make = (): unknown => nats({ servers: url });
    expect(make).toThrow(/nats\.servers/);
    expect(make).not.toThrow(/pa ss|pl\/an|:pass@/);
    expect(make).toThrow(/\*\*\*@/);
  },
);

it('addresses with different logins are refused: the client has one for all of them', () => {
  const make = (): unknown => nats({ servers: ['nats://a:secret-1@one', 'nats://b:secret-2@two'] });
  expect(make).toThrow(/nats\.servers.*the same user and password in every address/);
  expect(make).not.toThrow(/secret/);
  expect(nats({ servers: ['one', 'nats://a:secret-1@two'] }).create().host).toBe('one:4222, two:4222');
});
