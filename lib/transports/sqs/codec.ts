import { isUtf8 } from 'node:buffer';
import type { Message, MessageAttributeValue, SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import { MessageTooLargeError } from '../../errors/publish-errors.js';
import { header, type HeaderValue, stringHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { shorterErrors } from '../kit/envelope.js';
import { type JsonHead, readJsonHead, topicOf, writeJsonHead } from '../kit/json-head.js';

/** The attribute that everything of a message but its body is packed in: SQS takes ten, and a message has more headers. */
export const HEAD = 'messaging';
/** Attributes that policies, filters and other clients can read. */
export const ROUTE = 'route';
export const PARTITION_KEY = 'partition_key';

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

/** `topic`: undefined where the message goes to a queue by name. */
export function encode({ message, to }: Outgoing, topic: string | undefined): Encoded | MessageTooLargeError {
  const text = textOf(message.body);
  for (const head of headsOf(message, topic, to.kind === 'dead-letter')) {
    const attributes: Record<string, MessageAttributeValue> = {
      [HEAD]: stringOf(text === undefined ? `{"body":"base64",${head.slice(1)}` : head),
    };
    if (isReadable(message.route)) attributes[ROUTE] = stringOf(message.route);
    const key = stringHeader(message.headers, header.key);
    if (key !== undefined && isReadable(key)) attributes[PARTITION_KEY] = stringOf(key);
    const body = text ?? (message.body.length === 0 ? '-' : message.body.toString('base64'));
    const bytes = (text === undefined ? body.length : message.body.length) + bytesOf(attributes);
    if (bytes <= MOST_BYTES) return { entry: { MessageBody: body, MessageAttributes: attributes }, bytes };
  }
  return new MessageTooLargeError(
    `The message has more than ${MOST_BYTES} bytes with its headers${text === undefined ? ', in base64, for its body is no text' : ''}: SQS does not take it`,
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
  for (const [name, { StringValue = '' }] of Object.entries(attributes))
    bytes += name.length + 'String'.length + Buffer.byteLength(StringValue);
  return bytes;
}

/** A received message. */
export interface Decoded {
  readonly message: WireMessage;
  /** Undefined: sent to its queue by name. */
  readonly topic: string | undefined;
}

/** `usual`: the topic of what another client sent with a route. */
export function decode({ Body = '', MessageAttributes = {} }: Message, queue: string, usual: string): Decoded {
  const head = headOf(MessageAttributes[HEAD]?.StringValue);
  if (!head) return foreign(Body, MessageAttributes, queue, usual);
  const body = head.body === 'base64' ? Buffer.from(Body === '-' ? '' : Body, 'base64') : Buffer.from(Body);
  return { message: readJsonHead(head, body, queue), topic: topicOf(head) };
}

function foreign(
  text: string,
  attributes: Readonly<Record<string, MessageAttributeValue>>,
  queue: string,
  usual: string,
): Decoded {
  const headers: Record<string, HeaderValue> = Object.create(null) as Record<string, HeaderValue>;
  for (const [name, { DataType = 'String', StringValue, BinaryValue }] of Object.entries(attributes)) {
    if (name === ROUTE) continue;
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
