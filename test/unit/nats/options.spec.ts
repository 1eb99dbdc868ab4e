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
