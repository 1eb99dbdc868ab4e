import { randomUUID } from 'node:crypto';
import { type ChannelModel, connect, type ConfirmChannel } from 'amqplib';
import type { Headers } from '../../lib/message/headers.js';
import type { HarnessOverrides, HarnessPeer, PeerMessage } from 'nestjs-messaging/testing';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { Transport } from '../../lib/transport/transport.js';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { binary } from '../brokers/rabbitmq/erlang.js';
import type { RabbitHandle } from '../brokers/rabbitmq/handle.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { CLOSE_INTERNAL_ERROR } from '../fault/amqp-gate.js';
import { ProxiedHarness, secret } from './proxied.harness.js';

const exchange = 'contract';
const { capabilities } = rabbitmq({ exchange }).create();

/** Which faults the broker can be given, known before it is there. */
export interface RabbitFeatures {
  readonly name: string;
  /** The node is one of this run. */
  readonly ours: boolean;
  /** A RabbitNode that nobody else uses: it can be made to block, and be killed. */
  readonly alone: boolean;
}

/** A RabbitMQ for the contract. */
export class RabbitHarness extends ProxiedHarness {
  override readonly replies = true;
  override readonly provisioning = true;
  readonly capabilities = capabilities;
  readonly faults;
  readonly peer: HarnessPeer = {
    publish: (to, message) => this.publish(to, message),
    get: (queue) => this.get(queue),
  };
  private straight!: string;
  private node?: RabbitHandle;
  private plain!: ChannelModel;
  private channel!: ConfirmChannel;

  constructor(private readonly features: RabbitFeatures) {
    super({ ...features, lastWords: CLOSE_INTERNAL_ERROR });
    this.faults = {
      ...this.proxied,
      ...(features.alone ? { block: (on: boolean) => this.node!.memoryAlarm(on), restart: () => this.restart() } : {}),
      deleteQueue: async (queue: string) => void (await this.channel.deleteQueue(queue)),
      deleteDelays: () => this.deleteDelays(),
    };
  }

  /** `url` leads straight to an empty vhost. */
  async start(url: string, node?: RabbitHandle): Promise<void> {
    this.node = node;
    this.straight = url;
    await this.reach(this.features.ours && node ? await withOwnUser(node, url) : url);
  }

  async remove(queues: readonly string[]): Promise<void> {
    await Promise.all(queues.map((queue) => this.channel.deleteQueue(queue)));
  }

  protected transport(url: string, overrides: HarnessOverrides): Transport {
    return rabbitmq({ url, exchange, ...overrides }).create();
  }

  protected async connectPlain(): Promise<void> {
    this.plain = await connect(this.straight);
    this.plain.on('error', () => undefined);
    this.channel = await this.plain.createConfirmChannel();
    this.channel.on('error', () => undefined);
  }

  protected async closePlain(): Promise<void> {
    await this.plain?.close().catch(() => undefined); // Its node may be gone already.
  }

  private async restart(): Promise<void> {
    await (this.node as RabbitNode).restart();
    await this.connectPlain();
  }

  /** Each level is a queue and its exit, an exchange. */
  private async deleteDelays(): Promise<void> {
    for (let level = 0; level < 32; level++) {
      await this.channel.deleteQueue(`${exchange}.delay.${level}`);
      await this.channel.deleteExchange(`${exchange}.delay.${level}`);
    }
  }

  private async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    const [name, key] = addressOf(to);
    this.channel.publish(name, key, body, {
      ...properties,
      ...(id === undefined ? {} : { messageId: id }),
      headers: plainHeaders(headers),
    });
    await this.channel.waitForConfirms();
  }

  private async get(queue: string): Promise<PeerMessage | undefined> {
    const message = await this.channel.get(queue, { noAck: true });
    if (!message) return undefined;
    const { messageId, headers, ...properties } = message.properties;
    const { 'x-delivery-count': _, ...given } = headers as Headers; // 3.10 tells even a zero.
    return { id: messageId as string, body: message.content, headers: readPlain(given), properties };
  }
}

/** What of these a plain client must tell amqplib, with none of the package's code. */
function plainHeaders(headers: Headers): object {
  return {
    ...headers,
    ...('fraction' in headers && { fraction: { '!': 'double', value: headers.fraction } }),
    ...('lowest' in headers && { lowest: { '!': 'double', value: headers.lowest } }),
    ...('when' in headers && { when: { '!': 'timestamp', value: Number(headers.when) / 1_000 } }),
    // An inherited «!» is a key as any other.
    ...('marked' in headers && {
      marked: Object.create({ ...(headers.marked as Headers), list: [Object.create({ '!': 1 })] }) as object,
    }),
  };
}

function readPlain(headers: Headers): Headers {
  const { when } = headers as { when?: { value: number } };
  return when === undefined ? headers : { ...headers, when: new Date(when.value * 1_000) };
}

function addressOf(to: Destination): [exchange: string, routingKey: string] {
  if (to.kind === 'queue') return ['', to.queue];
  if (to.kind === 'dead-letter') return [`${exchange}.dlx`, to.route];
  return [to.topic ?? exchange, to.route];
}

/** The same vhost for a user whose password is the secret. */
async function withOwnUser(node: RabbitHandle, text: string): Promise<string> {
  const url = new URL(text);
  const name = `contract-${randomUUID()}`;
  const vhost = binary(decodeURIComponent(url.pathname.slice(1)) || '/');
  const [user, all, by] = [binary(name), binary('.*'), binary('test')];
  await node.eval(`begin
    ok = rabbit_auth_backend_internal:add_user(${user}, ${binary(secret)}, ${by}),
    ok = rabbit_auth_backend_internal:set_permissions(${user}, ${vhost}, ${all}, ${all}, ${all}, ${by}) end`);
  url.username = name;
  url.password = secret;
  return url.href;
}
