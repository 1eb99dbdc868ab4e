import type { PublishResult } from '../../../transport/outgoing.js';
import type { TransportEnvironment } from '../../../transport/transport.js';
import { PublishRefusedError } from '../../../errors/publish-errors.js';
import { Quarantine } from '../../kit/quarantine.js';
import { SupervisedConnection } from '../../kit/supervised-connection.js';
import type { Address } from '../connection/address.js';
import type { Sending } from './confirm-window.js';
import { NatsDialer } from '../connection/dialer.js';
import { type Link, openLink } from '../connection/link.js';
import { loadNats } from '../connection/peers.js';
import type { PublishChannel } from './publish-channel.js';

export type NatsQuarantine = Quarantine<Link, Sending>;

/** A server ends the connection over a message that is larger than it, the account or the user may be, or has too long a subject. */
export function natsQuarantine(
  address: Address,
  environment: TransportEnvironment,
  channelOn: (link: Link, connection: SupervisedConnection<Link>) => PublishChannel,
): NatsQuarantine {
  const { service, clock } = environment;
  let channel: PublishChannel | undefined;
  return new Quarantine({
    broker: 'NATS',
    environment,
    connect: () => {
      const dialer = new NatsDialer(address, `${service} (quarantine)`, clock, async (opened) => {
        // What the server tells of its limits comes with its first answer. One that the application gave may be cut off.
        await opened.flush();
        return openLink(opened, await loadNats());
      });
      const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
        opened: (link) => (channel = channelOn(link, connection)),
        lost: (reason) => channel?.end(reason),
        warning: () => {},
      });
      return connection;
    },
    send: (_connection, _link, sending) =>
      new Promise<PublishResult>((resolve) => {
        const result = channel!.send({ ...sending, done: (_, fate) => resolve(fate) });
        if (result) resolve(result);
      }),
    refusal: (reason) => new PublishRefusedError(`NATS refuses the message: ${reason}`),
  });
}
