import { randomUUID } from 'node:crypto';
import { DeleteQueueCommand, GetQueueUrlCommand, ReceiveMessageCommand, DeleteMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'; // prettier-ignore
import type { HarnessOverrides, HarnessPeer, PeerMessage, TransportHarness } from 'nestjs-messaging/testing';
import type { HeaderValue } from '../../lib/message/headers.js';
import type { Destination } from '../../lib/transport/outgoing.js';
import type { Transport, TransportEnvironment } from '../../lib/transport/transport.js';
import { tagged, untagged } from '../../lib/transports/kit/text-values.js';
import { queueName } from '../../lib/transports/sqs/names.js';
import { sqs } from '../../lib/transports/sqs/sqs.js';
import { Proxy } from '../brokers/proxy.js';
import type { Emulator } from '../brokers/sqs/install.js';
import { environmentOfBroker } from './proxied.harness.js';

/** Its secret, unmistakable where it shows. */
export const secret = `planted-${randomUUID()}`;
const prefix = 'contract-';
const region = 'us-east-1';
const credentials = { accessKeyId: 'contract', secretAccessKey: secret };
/** What a client lost with its process comes again so late; nobody waits for a poll; an outage is noticed at once. */
const options = {
  region,
  prefix,
  lease: 2_000,
  waitTime: 0,
  heartbeat: 25,
  routesRefresh: 0,
  options: { credentials },
};
const { capabilities } = sqs(options).create();

/** SQS for the contract: transports reach it through a proxy, the plain client directly. */
export class SqsHarness implements TransportHarness {
  readonly name = 'SQS';
  readonly capabilities = capabilities;
  /** An exclusive queue stays where its process died; what is given back has no place that it comes back to. */
  readonly lacks = ['expiry', 'oldPlace', 'order'] as const;
  readonly listsQueues = true;
  readonly provisioning = true;
  readonly patienceMs = 25_000;
  readonly secret = secret;
  readonly faults: NonNullable<TransportHarness['faults']>;
  readonly peer: HarnessPeer = { publish: (to, message) => this.publish(to, message), get: (queue) => this.get(queue) };
  private readonly open = new Set<Watched>();
  readonly environment = environmentOfBroker;
  private proxy!: Proxy;
  private plain!: SQSClient;
  private refusing = false;

  constructor(emulator?: Emulator) {
    this.faults = {
      disconnect: () => this.disconnect(),
      refuse: (on) => this.refuse(on),
      // moto ends its connection after each answer: one that is lost is a connection that breaks, at once.
      ...(emulator !== 'moto' && { dropConfirms: async (on) => this.dropConfirms(on) }),
      deleteQueue: (queue) => this.remove([queue]),
    };
  }

  async start(url: string): Promise<void> {
    this.plain = new SQSClient({ region, endpoint: url, credentials, useQueueUrlAsEndpoint: false });
    this.proxy = await Proxy.start(url);
  }

  async stop(): Promise<void> {
    await this.proxy?.close();
    this.plain?.destroy();
  }

  create(overrides: HarnessOverrides = {}): Transport {
    const endpoint = `http://127.0.0.1:${this.proxy.port}`;
    return this.watched(sqs({ ...options, endpoint, ...overrides }).create());
  }

  async remove(queues: readonly string[]): Promise<void> {
    for (const queue of queues) {
      const url = await this.urlOf(queue);
      if (url !== undefined) await this.plain.send(new DeleteQueueCommand({ QueueUrl: url }));
    }
  }

  /** A request that a broken socket took along is sent again: an outage lasts until everybody has told of it. */
  private async disconnect(): Promise<void> {
    await this.proxy.refuse(true);
    this.proxy.reset();
    const noticed = [...this.open].filter(({ isConnected }) => isConnected).map((watched) => watched.disconnected());
    await Promise.all(noticed);
    if (!this.refusing) await this.proxy.refuse(false);
  }

  private async refuse(on: boolean): Promise<void> {
    this.refusing = on;
    await this.proxy.refuse(on);
  }

  private dropConfirms(on: boolean): void {
    this.proxy.dropFromBrokerAfter(on ? Buffer.from('AmazonSQS.SendMessageBatch') : undefined);
    if (!on) this.proxy.reset();
  }

  /** The transport, telling this harness when it is connected. */
  private watched(transport: Transport): Transport {
    const watched = new Watched();
    this.open.add(watched);
    const connect = transport.connect.bind(transport);
    const close = transport.close.bind(transport);
    transport.connect = (environment: TransportEnvironment) =>
      connect({
        ...environment,
        onEvent: (event) => {
          watched.told(event.type);
          environment.onEvent(event);
        },
      });
    transport.close = () => {
      this.open.delete(watched);
      watched.told('disconnected');
      return close();
    };
    return transport;
  }

  private async urlOf(queue: string): Promise<string | undefined> {
    try {
      return (await this.plain.send(new GetQueueUrlCommand({ QueueName: queueName(prefix, queue) }))).QueueUrl;
    } catch {
      return undefined;
    }
  }

  /** As docs/sqs.md has it for other clients. A route is bound to no more than one queue where a plain client publishes. */
  private async publish(to: Destination, { id, body, headers, properties }: PeerMessage): Promise<void> {
    const queue = to.kind === 'queue' ? to.queue : this.boundFor(to.route);
    const isPlain = id === undefined && Object.keys(headers).length === 0 && Object.keys(properties).length === 0;
    const written = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, tagged(value)]));
    const head = {
      body: 'base64',
      id,
      ...(to.kind === 'route' && { topic: 'events', route: to.route }),
      headers: written,
      properties,
    };
    const text = (value: string) => ({ DataType: 'String', StringValue: value });
    await this.plain.send(
      new SendMessageCommand({
        QueueUrl: await this.urlOf(queue),
        MessageBody: isPlain ? body.toString() : body.toString('base64'),
        MessageAttributes: isPlain
          ? { ...(to.kind === 'route' && { route: text(to.route) }) }
          : { messaging: text(JSON.stringify(head)) },
      }),
    );
  }

  /** Cases name their routes after their queue `q`. */
  private boundFor(route: string): string {
    return `${route.split('.')[0]}:case.q:queue`;
  }

  private async get(queue: string): Promise<PeerMessage | undefined> {
    const QueueUrl = await this.urlOf(queue);
    const { Messages: [message] = [] } = await this.plain.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1, MessageAttributeNames: ['All'] }),
    );
    if (!message) return undefined;
    await this.plain.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
    const head = JSON.parse(message.MessageAttributes!.messaging.StringValue!) as Head;
    const headers = Object.fromEntries(Object.entries(head.headers).map(([name, value]) => [name, untagged(value)]));
    const body = Buffer.from(message.Body!, head.body === 'base64' ? 'base64' : 'utf8');
    return { id: head.id, body, headers, properties: head.properties };
  }
}

interface Head {
  readonly id?: string;
  readonly body?: string;
  readonly headers: Record<string, HeaderValue>;
  readonly properties: PeerMessage['properties'];
}

/** Whether a transport is connected, by its own word. */
class Watched {
  isConnected = false;
  private waiting: (() => void)[] = [];

  told(type: string): void {
    if (type === 'connected') this.isConnected = true;
    if (type !== 'disconnected') return;
    this.isConnected = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  disconnected(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
