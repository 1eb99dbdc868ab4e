import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json, unpointed } from './json.js';
import { formsOf, type MessageForm, takes } from './message-forms.js';
import { SchemaComparison } from './schema-comparison.js';
import type { SchemaFinding } from './schema-finding.js';
import { resolved } from './schema-source.js';

/** What a change does to who is on the other side, or to messages that wait. */
export type ChangeVerdict = 'breaks' | 'unknown' | 'warns' | 'ok';

export interface DocumentChange {
  readonly verdict: ChangeVerdict;
  /** The same for the same change, whatever the words: what is accepted is named by it. */
  readonly id: string;
  readonly text: string;
  /** Why it was accepted nevertheless. */
  readonly accepted?: string;
}

type Action = 'send' | 'receive';

/** What goes through one channel in one direction, over all operations of it. */
interface Exchange {
  readonly action: Action;
  readonly channel: Json;
  readonly messages: ReadonlyMap<string, readonly Json[]>;
  readonly semantics: Json;
}

const WAITING = 'messages that wait in the old queue stay there: `npx nestjs-messaging queues` shows them';

/**
 * What has changed between two documents, judged by direction: consumers read what is sent with the old schema, and old
 * messages that wait in queues meet the new one. @throws TypeError for what is no AsyncAPI 3 document
 */
export function compareDocuments(before: unknown, after: unknown): readonly DocumentChange[] {
  const [old, young] = [document(before, 'old'), document(after, 'new')];
  const [was, is] = [exchangesOf(old), exchangesOf(young)];
  const changes: DocumentChange[] = [];
  for (const [key, one] of was) {
    const other = is.get(key);
    if (other) changes.push(...compareExchange(key, one, other, old, young));
    else
      changes.push({
        verdict: 'breaks',
        id: `${key} removed`,
        text:
          one.action === 'send' ? 'nothing is sent there any more' : `nothing is received from it any more; ${WAITING}`,
      });
  }
  for (const key of is.keys())
    if (!was.has(key)) changes.push({ verdict: 'ok', id: `${key} added`, text: 'it is new' });
  if (changes.length === 0 && !isDeepStrictEqual(old, young))
    changes.push({ verdict: 'ok', id: 'document changed', text: 'descriptions, or what nobody depends on' });
  return changes.sort((one, other) => (one.id < other.id ? -1 : 1));
}

function document(value: unknown, which: string): Json {
  if (isObject(value) && /^3\./.test(String(value.asyncapi)) && isObject(value.channels)) return value;
  throw new TypeError(`The ${which} document is no AsyncAPI 3 document in JSON`);
}

function exchangesOf(source: Json): Map<string, Exchange> {
  const found = new Map<string, Exchange>();
  const operations = Object.values(isObject(source.operations) ? source.operations : {}).filter(isObject);
  for (const operation of operations) {
    const action = operation.action === 'send' ? 'send' : 'receive';
    addExchange(found, source, operation, action);
    // Who answers sends the reply, and who asks reads it.
    if (isObject(operation.reply)) addExchange(found, source, operation.reply, action === 'send' ? 'receive' : 'send');
  }
  return found;
}

function addExchange(found: Map<string, Exchange>, source: Json, part: Json, action: Action): void {
  const channel = resolved(source, part.channel);
  if (!isObject(channel)) return;
  const address = typeof channel.address === 'string' ? channel.address : String(channel.title);
  const key = `${action} ${topicOf(source, channel)}${address}${connectionOf(channel)}`;
  const messages = new Map(found.get(key)?.messages);
  for (const ref of Array.isArray(part.messages) ? part.messages : []) {
    const message = resolved(source, ref);
    if (!isObject(message)) continue;
    const name = String(message.name);
    messages.set(name, [...new Set([...(messages.get(name) ?? []), message])]);
  }
  const semantics = isObject(part['x-nestjs-messaging']) ? part['x-nestjs-messaging'] : {};
  found.set(key, { action, channel, messages, semantics });
}

/** A route can be published in several places; that of the connection is not said. */
function topicOf(source: Json, { servers, 'x-nestjs-messaging-route': place }: Json): string {
  const server = resolved(source, Array.isArray(servers) ? (servers as unknown[])[0] : undefined);
  const topic = isObject(place) && typeof place.topic === 'string' ? place.topic : undefined;
  const isOwn = topic === undefined || !isObject(server) || server['x-nestjs-messaging-topic'] === topic;
  return isOwn ? '' : `${topic}/`;
}

/** Two connections can have channels of one address. */
function connectionOf({ servers }: Json): string {
  const [server] = Array.isArray(servers) ? (servers as Json[]) : [];
  const name =
    String((server as { $ref?: string } | undefined)?.$ref ?? '')
      .split('/')
      .at(-1) ?? '';
  return name === '' || name === 'default' ? '' : `@${unpointed(name)}`;
}

function compareExchange(
  key: string,
  one: Exchange,
  other: Exchange,
  old: Json,
  young: Json,
): readonly DocumentChange[] {
  const found: DocumentChange[] = [
    ...placeChanges(key, one, other),
    ...deliveryChanges(key, one.semantics, other.semantics),
  ];
  for (const [name, before] of one.messages) {
    const after = other.messages.get(name);
    if (!after)
      found.push({
        verdict: 'breaks',
        id: `${key} message ${name} removed`,
        text:
          one.action === 'send' ? `«${name}» is not sent any more` : `«${name}» is not handled any more; ${WAITING}`,
      });
    else found.push(...messageChanges(`${key} ${name}`, one.action, before, after, old, young));
  }
  for (const name of other.messages.keys())
    if (!one.messages.has(name)) found.push({ verdict: 'ok', id: `${key} message ${name} added`, text: 'it is new' });
  return found;
}

/** Where it is: the exchange and its kind, the topic, and the routes that lead to a queue. */
function placeChanges(
  key: string,
  { channel: one }: Exchange,
  { channel: other }: Exchange,
): readonly DocumentChange[] {
  const found: DocumentChange[] = [];
  if (!isDeepStrictEqual(placeOf(one.bindings), placeOf(other.bindings)))
    found.push({
      verdict: 'breaks',
      id: `${key} bindings`,
      text: `it is elsewhere on the broker: ${JSON.stringify(other.bindings)}, and was ${JSON.stringify(one.bindings)}`,
    });
  for (const name of ['x-nestjs-messaging-queue', 'x-nestjs-messaging-route'] as const) {
    const [{ routes: from = [], ...was }, { routes: to = [], ...is }] = [one[name] ?? {}, other[name] ?? {}] as [
      Place,
      Place,
    ];
    // That there are no dead letters any more, or are from now on, is about the delivery.
    if (is.deadLetter === undefined || was.deadLetter === undefined) {
      delete was.deadLetter;
      delete is.deadLetter;
    }
    for (const route of from)
      if (!to.includes(route))
        found.push({
          verdict: 'breaks',
          id: `${key} route ${route} removed`,
          text: `«${route}» does not lead there any more`,
        });
    for (const route of to)
      if (!from.includes(route))
        found.push({ verdict: 'ok', id: `${key} route ${route} added`, text: `«${route}» leads there now` });
    if (!isDeepStrictEqual(was, is))
      found.push({
        verdict: 'breaks',
        id: `${key} queue`,
        text: `the queue is another one: ${JSON.stringify(was)} became ${JSON.stringify(is)}; ${WAITING}`,
      });
  }
  return found;
}

/** What says how long or how often is for whoever makes the queue. */
const TUNING = new Set(['visibilityTimeout', 'messageRetentionPeriod', 'maxReceiveCount']);

function placeOf(bindings: unknown): unknown {
  return JSON.parse(JSON.stringify(bindings ?? null, (name, value: unknown) => (TUNING.has(name) ? undefined : value)));
}

interface Place {
  routes?: string[];
  deadLetter?: string;
}

const ORDERS = ['none', 'key-in-process', 'key'];

function deliveryChanges(key: string, was: Json, is: Json): readonly DocumentChange[] {
  const found: DocumentChange[] = [];
  const warn = (id: string, text: string): void => void found.push({ verdict: 'warns', id: `${key} ${id}`, text });
  if (ORDERS.indexOf(String(is.order)) < ORDERS.indexOf(String(was.order)))
    warn('order', `the order is «${String(is.order)}», and was «${String(was.order)}»`);
  if (was.idempotent && !is.idempotent) warn('idempotent', 'what comes twice is handled twice');
  if (was.deadLetter && !is.deadLetter) warn('dead letters', 'what is given up is not kept any more');
  if (was.durable === true && is.durable === false) warn('durable', 'messages do not outlive the broker any more');
  if (was.unroutable !== 'ignore' && is.unroutable === 'ignore') warn('unroutable', 'what nobody takes is dropped now');
  if (was.group !== is.group)
    found.push({
      verdict: 'breaks',
      id: `${key} group`,
      text: `the group is «${String(is.group)}», and was «${String(was.group)}»`,
    });
  if (found.length === 0 && !isDeepStrictEqual(was, is))
    found.push({ verdict: 'ok', id: `${key} delivery`, text: 'its limits, waits or numbers are others' });
  return found;
}

function messageChanges(
  key: string,
  action: Action,
  before: readonly Json[],
  after: readonly Json[],
  old: Json,
  young: Json,
): readonly DocumentChange[] {
  if (before.length !== after.length || before.length > 1)
    return isDeepStrictEqual(before, after) && isDeepStrictEqual(old.components, young.components)
      ? []
      : [{ verdict: 'unknown', id: `${key} payloads`, text: 'several schemas of one message: this cannot be judged' }];
  const [[one], [other]] = [before, after];
  const [was, is] = [formsOf(old, one), formsOf(young, other)];
  const found = action === 'send' ? sentChanges(key, was[0], is[0], old, young) : readChanges(key, was, is, old, young);
  const payloads = [resolved(old, one.payload), resolved(young, other.payload)];
  if (found.length === 0 && !isDeepStrictEqual(...(payloads as [unknown, unknown])))
    found.push({ verdict: 'ok', id: `${key} payload`, text: 'its schema changed, and all that is written is read' });
  return found;
}

/** Consumers know the one form that was written. */
function sentChanges(key: string, was: MessageForm, is: MessageForm, old: Json, young: Json): DocumentChange[] {
  const found = is.contentType === was.contentType ? [] : [contentTypeChange(key, was, is)];
  for (const name of was.headers)
    if (!is.headers.includes(name))
      found.push({ verdict: 'breaks', id: `${key} header ${name} removed`, text: `the header «${name}» is not sent any more` }); // prettier-ignore
  const findings = new SchemaComparison(young, old).compare(is.payload, was.payload);
  const judged = (verdict: SchemaFinding['verdict']): ChangeVerdict =>
    verdict === 'unwritten' ? 'warns' : verdict === 'unread' ? 'ok' : verdict;
  return [...found, ...findings.map((one) => payloadChange(key, one, judged(one.verdict), 'what is sent'))];
}

/** What waits may have any form that was read: each has to be read by one of those that are read now. */
function readChanges(
  key: string,
  was: readonly MessageForm[],
  is: readonly MessageForm[],
  old: Json,
  young: Json,
): DocumentChange[] {
  const found = new Map<string, DocumentChange>();
  for (const form of was) {
    const readers = is.filter((one) => takes(one, form));
    const told = readers.map((one) =>
      new SchemaComparison(old, young)
        .compare(form.payload, one.payload)
        .map((finding) =>
          payloadChange(
            key,
            finding,
            finding.verdict === 'unwritten' || finding.verdict === 'unread' ? 'ok' : finding.verdict,
            'what waits',
          ),
        ),
    );
    const isRead = (changes: readonly DocumentChange[]): boolean => changes.every(({ verdict }) => verdict === 'ok');
    const least = told.find(isRead) ?? told[0] ?? [contentTypeChange(key, form, is[0], form === was[0])];
    for (const one of least) found.set(one.id, found.get(one.id) ?? one);
  }
  return [...found.values()];
}

function payloadChange(
  key: string,
  { verdict, path, text }: SchemaFinding,
  judged: ChangeVerdict,
  what: string,
): DocumentChange {
  return { verdict: judged, id: `${key} ${path || '/'} ${verdict}`, text: `${what}: ${text}` };
}

function contentTypeChange(key: string, was: MessageForm, is: MessageForm, isWritten = true): DocumentChange {
  const [before, after] = [String(was.contentType), String(is.contentType)];
  if (!isWritten)
    return { verdict: 'breaks', id: `${key} content type ${before}`, text: `what came as ${before} is not read as that any more` }; // prettier-ignore
  return { verdict: 'breaks', id: `${key} content type`, text: `it is ${after}, and was ${before}` };
}
