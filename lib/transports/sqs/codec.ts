import { isUtf8 } from 'node:buffer';
import type { Message, MessageAttributeValue, SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import type { MessagingError } from '../../errors/messaging-error.js';
import { MessageTooLargeError, PublishRefusedError } from '../../errors/publish-errors.js';
import { header, type HeaderValue, stringHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { wordsOf } from '../../transport/topic-pattern.js';
import { shorterErrors } from '../kit/envelope.js';
import { type JsonHead, readJsonHead, topicOf, writeJsonHead } from '../kit/json-head.js';

/** The attribute that everything of a message but its body is packed in: SQS takes ten, and a message has more headers. */
export const HEAD = 'messaging';
/** Attributes that policies, filters and other clients can read. */
export const ROUTE = 'route';
export const PARTITION_KEY = 'partition_key';
/** How many words the route has, for filters of SNS. */
export const ROUTE_WORDS = 'route_words';

/** The most that a message has with its attributes, and all messages of one request. */
export const MOST_BYTES = 2 ** 20;

/** What a text may hold on SQS. */
const ILLEGAL = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
const MOST_OF_ATTRIBUTE = 1_024;

/** A message as it is sent, and its size as SQS counts. */
export interface Encoded {
  readonly entry: Omit<SendMessageBatchRequestEntry, 'Id'>;
  readonly bytes: number;
}

/** Where a message goes, and what is written of it there. */
export interface Terms {
  /** Undefined where the message goes to a queue by name. */
  readonly topic: string | undefined;
  /** Names of headers that are attributes of their own as well. */
  readonly attributes: readonly string[];
  /** It goes to a topic of SNS, which takes so many bytes. */
  readonly sns?: { readonly mostBytes: number };
}

export function encode({ message, to }: Outgoing, { topic, attributes: named, sns }: Terms): Encoded | MessagingError {
  const most = sns?.mostBytes ?? MOST_BYTES;
  if (sns && !isReadable(message.route))
    return new PublishRefusedError('A topic of SNS takes only routes of 1 to 1,024 characters that are text');
  const text = textOf(message.body);
  for (const head of headsOf(message, topic, to.kind === 'dead-letter')) {
    const attributes: Record<string, MessageAttributeValue> = {
      [HEAD]: stringOf(text === undefined ? `{"body":"base64",${head.slice(1)}` : head),
    };
    if (isReadable(message.route)) attributes[ROUTE] = stringOf(message.route);
    if (sns) attributes[ROUTE_WORDS] = { DataType: 'Number', StringValue: String(wordsOf(message.route).length) };
    for (const name of named) {
      const value = message.headers[name];
      if (typeof value === 'number') attributes[name] = { DataType: 'Number', StringValue: String(value) };
      else if (typeof value === 'string' && isReadable(value)) attributes[name] = stringOf(value);
    }
    const key = stringHeader(message.headers, header.key);
    if (key !== undefined && isReadable(key)) attributes[PARTITION_KEY] = stringOf(key);
    const body = text ?? (message.body.length === 0 ? '-' : message.body.toString('base64'));
    const bytes = (text === undefined ? body.length : message.body.length) + bytesOf(attributes);
    if (bytes <= most) return { entry: { MessageBody: body, MessageAttributes: attributes }, bytes };
  }
  return new MessageTooLargeError(
    `The message has more than ${most} bytes with its headers${text === undefined ? ', in base64, for its body is no text' : ''}: ${sns ? 'its topic of SNS' : 'SQS'} does not take it`,
  );
}

/** With less and less of an error's words, where it is a dead letter. */
function* headsOf(message: WireMessage, topic: string | undefined, isDeadLetter: boolean): Generator<string> {
  yield writeHead(message, topic);
  if (!isDeadLetter) return;
  for (const headers of shorterErrors(message.headers)) yield writeHead({ ...message, headers }, topic);
}

function writeHead(message: WireMessage, topic: string | undefined): string {
  // What JSON leaves as it is and SQS does not take.
  return writeJsonHead(message, topic).replace(/[\uFFFE\uFFFF]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`);
}

/** The body as text, where it is one that SQS takes. */
function textOf(body: Buffer): string | undefined {
  if (body.length === 0 || !isUtf8(body)) return undefined;
  const text = body.toString();
  return ILLEGAL.test(text) ? undefined : text;
}

const stringOf = (value: string): MessageAttributeValue => ({ DataType: 'String', StringValue: value });
const isReadable = (text: string): boolean => text !== '' && text.length <= MOST_OF_ATTRIBUTE && !ILLEGAL.test(text);

function bytesOf(attributes: Readonly<Record<string, MessageAttributeValue>>): number {
  let bytes = 0;
  for (const [name, { DataType = '', StringValue = '' }] of Object.entries(attributes))
    bytes += name.length + DataType.length + Buffer.byteLength(StringValue);
  return bytes;
}

/** A received message. */
export interface Decoded {
  readonly message: WireMessage;
  /** Undefined: sent to its queue by name. */
  readonly topic: string | undefined;
}

/** `usual`: the topic of what another client sent with a route. */
export function decode(received: Message, queue: string, usual: string): Decoded {
  const { Body = '', MessageAttributes = {} } = unwrapped(received);
  const head = headOf(MessageAttributes[HEAD]?.StringValue);
  if (!head) return foreign(Body, MessageAttributes, queue, usual);
  const body = head.body === 'base64' ? Buffer.from(Body === '-' ? '' : Body, 'base64') : Buffer.from(Body);
  return { message: readJsonHead(head, body, queue), topic: topicOf(head) };
}

interface Envelope {
  readonly Type?: unknown;
  readonly TopicArn?: unknown;
  readonly Message?: unknown;
  readonly MessageAttributes?: Readonly<Record<string, { readonly Type: string; readonly Value: string }>>;
}

/** What SNS has put in an envelope, for a subscription without raw delivery. */
function unwrapped(received: Message): Pick<Message, 'Body' | 'MessageAttributes'> {
  const { Body = '', MessageAttributes } = received;
  if (MessageAttributes?.[HEAD] || !Body.startsWith('{') || !Body.includes('"TopicArn"')) return received;
  const { Type, TopicArn, Message: text, MessageAttributes: found = {} } = (headOf(Body) ?? {}) as Envelope;
  if (Type !== 'Notification' || typeof TopicArn !== 'string' || typeof text !== 'string') return received;
  const attributes = Object.entries(found).map(([name, { Type: DataType, Value }]) => [
    name,
    DataType.startsWith('Binary')
      ? { DataType, BinaryValue: Buffer.from(Value, 'base64') }
      : { DataType, StringValue: Value },
  ]);
  return { Body: text, MessageAttributes: Object.fromEntries(attributes) as Record<string, MessageAttributeValue> };
}

function foreign(
  text: string,
  attributes: Readonly<Record<string, MessageAttributeValue>>,
  queue: string,
  usual: string,
): Decoded {
  const headers: Record<string, HeaderValue> = Object.create(null) as Record<string, HeaderValue>;
  for (const [name, { DataType = 'String', StringValue, BinaryValue }] of Object.entries(attributes)) {
    if (name === ROUTE || name === ROUTE_WORDS) continue;
    headers[name === PARTITION_KEY ? header.key : name] = DataType.startsWith('Binary')
      ? Buffer.from(BinaryValue ?? [])
      : DataType.startsWith('Number') && Number.isFinite(Number(StringValue))
        ? Number(StringValue)
        : StringValue;
  }
  const route = attributes[ROUTE]?.StringValue;
  const message = { id: '', route: route || queue, body: Buffer.from(text), headers: { ...headers }, properties: {} };
  return { message, topic: route ? usual : undefined };
}

function headOf(text: string | undefined): (JsonHead & { readonly body?: unknown }) | undefined {
  if (text === undefined) return undefined;
  try {
    const head: unknown = JSON.parse(text);
    return typeof head === 'object' && head !== null ? head : undefined;
  } catch {
    return undefined;
  }
}
