import { afterEach, beforeAll, beforeEach } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { RabbitBroker } from '../brokers/rabbitmq.js';
import { Client } from './client.js';

/** A transport and a plain client, connected to one vhost. */
export interface Peers {
  readonly url: string;
  readonly plain: ChannelModel;
  readonly channel: Channel;
  readonly client: Client;
}

/** New ones before each test of the block, in one vhost for the block; closed after each. */
export function beforeEachPeers(rabbit: RabbitBroker, hand: (peers: Peers) => void): void {
  let url: string;
  let peers: Peers | undefined;
  beforeAll(async () => void (url = await rabbit.freshVhostUrl()), 60_000);
  beforeEach(async () => {
    const plain = await connect(url);
    plain.on('error', () => {});
    const channel = await plain.createChannel();
    channel.on('error', () => {});
    peers = { url, plain, channel, client: await Client.connect(url) };
    hand(peers);
  });
  afterEach(async () => {
    await peers?.client.close();
    await peers?.plain.close().catch(() => {});
  });
}
