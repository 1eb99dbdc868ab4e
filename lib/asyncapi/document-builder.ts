import type { Described } from '../consumer/subscription/subscription-options.js';
import { InvalidOptionError, SubscriptionConflictError } from '../errors/configuration-errors.js';
import type { StandardSchema } from '../message/standard-schema.js';
import type { FoundSubscription, MessagingExplorer } from '../messaging.explorer.js';
import type { RequestContract } from '../message/request-contract.js';
import type { Messaging } from '../messaging.js';
import { DEFAULT_CONNECTION } from '../messaging.tokens.js';
import { compilePattern, wordsOf } from '../transport/topic-pattern.js';
import { addressOf, deadLetterChannel, queueChannel, routeChannel, type RoutePlace } from './channels.js';
import type { AsyncApiDocument } from './document.js';
import { type Json, isObject, ordered, plain, pointerTo } from './json.js';
import { factsOf, HEADERS, OWN_HEADERS, protocolOf } from './message-facts.js';
import { type MessageFacts, MessageRegistry } from './message-registry.js';
import type { AsyncApiOptions } from './options.js';
import { contract, described, type DescribedPublication, publicationsOf } from './publishes.decorator.js';
import { type Answers, answersOf, replyChannel, replyMessages, replyOf } from './replies.js';
import { receiveSemantics, sendSemantics } from './semantics.js';

interface ChannelDraft {
  readonly content: Json;
  readonly messages: Set<string>;
}

interface OperationDraft {
  readonly channel: string;
  readonly messages: Set<string>;
  readonly content: Json;
}

/** Makes one document of one application. */
export class DocumentBuilder {
  private readonly channels = new Map<string, ChannelDraft>();
  private readonly operations = new Map<string, OperationDraft>();
  private readonly undocumented = new Set<string>();
  private readonly registry: MessageRegistry;
  private readonly routeMatchers: readonly ((words: readonly string[]) => boolean)[] | undefined;

  constructor(
    private readonly explorer: MessagingExplorer,
    private readonly options: AsyncApiOptions,
  ) {
    this.registry = new MessageRegistry(options.onUnrepresentable === 'any');
    this.routeMatchers = options.include?.routes?.map((pattern) => compilePattern(pattern));
  }

  build(): AsyncApiDocument {
    const connections = this.connections();
    if (this.includes('actions', 'receive')) this.addSubscriptions();
    if (this.includes('actions', 'send')) this.addPublications(connections);
    const missing = [...this.undocumented].sort();
    if (missing.length > 0 && this.options.strict)
      throw new InvalidOptionError(
        'strict',
        true,
        `handlers and publications with a schema each; without one are: ${missing.join(', ')}`,
      );
    const { info = {}, tags = [] } = this.options;
    const [main] = connections;
    const { service } = (connections.find(({ connection }) => connection === DEFAULT_CONNECTION) ?? main).described;
    const { messages, schemas } = this.registry;
    const used = messages.size > 0 ? [...schemas, [HEADERS, OWN_HEADERS] as const] : schemas;
    return plain({
      asyncapi: '3.1.0',
      id: `urn:nestjs-messaging:${encodeURIComponent(service)}`,
      info: { title: service, version: '0.0.0', ...info, ...tagged(tags) },
      servers: ordered(connections.map((one) => [one.connection, this.server(one)] as const)),
      channels: ordered([...this.channels].map(([key, draft]) => [key, channelOf(draft)] as const)),
      operations: ordered([...this.operations].map(([key, draft]) => [key, operationOf(draft)] as const)),
      components: { messages: ordered(messages), schemas: ordered(used) },
      ...(missing.length > 0 && { 'x-nestjs-messaging-undocumented': missing }),
    });
  }

  private connections(): readonly Messaging[] {
    const all = this.explorer.connections().filter(({ connection }) => this.includes('connections', connection));
    if (all.length > 0) return all;
    const names = this.explorer.connections().map(({ connection }) => connection);
    throw new InvalidOptionError('include.connections', 'given', `one of: ${names.join(', ')}`);
  }

  private server({ connection, described: { transport, topic } }: Messaging): Json {
    const [host, ...path] = transport.host.split('/');
    const { tags = [], ...given } = this.options.servers?.[connection] ?? {};
    return {
      host: host || transport.system,
      ...(path.length > 0 && path[0] !== '' && { pathname: `/${path.join('/')}` }),
      protocol: protocolOf(transport).protocol,
      ...given,
      ...tagged(tags),
      'x-nestjs-messaging-topic': topic,
    };
  }

  private addSubscriptions(): void {
    const found = this.explorer
      .subscriptions()
      .filter(
        ({ messaging, definition }) =>
          this.includes('connections', messaging.connection) &&
          definition.routes.some((route) => this.includesRoute(route)),
      );
    const names = new Map<string, number>();
    for (const { place } of found) names.set(place, (names.get(place) ?? 0) + 1);
    const id = (one: FoundSubscription): string =>
      names.get(one.place)! > 1 ? `${one.place}.${one.definition.name}` : one.place;
    const entries = found.map((one) => [id(one), one] as const);
    for (const [name, one] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) this.addSubscription(name, one);
  }

  private addSubscription(id: string, { messaging, place, payload, request, definition }: FoundSubscription): void {
    const { transport } = messaging.described;
    const protocol = protocolOf(transport);
    const { topology, group, name } = definition;
    const queue = topology.exclusive ? `${group}:${name}:{instance}:queue` : topology.queue;
    const routes = (Array.isArray(request.route) ? request.route : [request.route]).map(contract);
    const messages = routes
      .filter(({ route }) => this.includesRoute(route))
      .map(({ route, schema }) => {
        return this.message(
          factsOf(messaging, definition.serializer),
          route,
          schema ?? this.schemaOf(payload),
          `${place}: ${route}`,
        );
      });
    for (const { route } of routes)
      if (topology.patterns.includes(route)) this.routeChannel(messaging, route, topology);
    const key = this.channel(messaging, queue, queueChannel(queue, topology, protocol), 'queue:', messages);
    const { deadLetter } = topology;
    if (deadLetter)
      this.channel(messaging, deadLetter.queue, deadLetterChannel(deadLetter.queue, topology, protocol), 'queue:', []);
    const bindings = protocol.receive?.(topology);
    const reply = this.reply(messaging, answersOf(request, definition), place);
    this.operation(id, {
      channel: key,
      messages: new Set(messages),
      content: {
        action: 'receive',
        title: place,
        ...said(request),
        ...(bindings && { bindings }),
        ...(reply && { reply }),
        'x-nestjs-messaging': receiveSemantics(definition, transport.capabilities),
      },
    });
  }

  private message(
    facts: MessageFacts,
    route: string,
    schema: StandardSchema | Json | undefined,
    where: string,
  ): string {
    const key = this.registry.add(route, schema, facts);
    if (!this.registry.schemas.has(key)) this.undocumented.add(where);
    return key;
  }

  private schemaOf(payload: unknown): Json | undefined {
    if (typeof payload !== 'function' || NO_PAYLOAD_CLASS.has(payload)) return undefined;
    const schema = this.options.schemaOf?.(payload as never);
    if (schema !== undefined && !isObject(schema))
      throw new InvalidOptionError('schemaOf', schema, `JSON Schema or undefined for ${payload.name}`);
    return schema;
  }

  private addPublications(connections: readonly Messaging[]): void {
    const given = [...(this.options.publishes ?? []), ...this.explorer.types().flatMap(publicationsOf)].map(described);
    const names = this.explorer.connections().map(({ connection }) => connection);
    const entries = given.map((one) => [contract(one.route).route, one.connection ?? DEFAULT_CONNECTION, one] as const);
    for (const [route, connection, publication] of entries.sort((a, b) =>
      `${a[0]} ${a[1]}` < `${b[0]} ${b[1]}` ? -1 : 1,
    )) {
      if (!names.includes(connection))
        throw new SubscriptionConflictError(
          `«${route}» is published on the connection «${connection}», which no MessagingModule provides; there are: ${names.join(', ')}`,
        );
      const messaging = connections.find((one) => one.connection === connection);
      if (messaging && this.includesRoute(route)) this.addPublication(messaging, publication);
    }
  }

  private addPublication(messaging: Messaging, publication: DescribedPublication): void {
    const { route, schema, serializer, reply: answer } = contract(publication.route) as RequestContract;
    const { transport, unroutable } = messaging.described;
    const protocol = protocolOf(transport);
    const message = this.message(factsOf(messaging, serializer), route, schema, `published: ${route}`);
    const channel = this.routeChannel(messaging, route, publication, message);
    const bindings = protocol.send?.();
    const answers = answer && { routes: [route], schema: answer, serializer };
    const reply = this.reply(messaging, answers, `published: ${route}`);
    this.operation(`send.${channel}`, {
      channel,
      messages: new Set([message]),
      content: {
        action: 'send',
        title: `Publishes ${route}`,
        ...said(publication),
        ...(bindings && { bindings }),
        ...(reply && { reply }),
        'x-nestjs-messaging': sendSemantics(unroutable, transport.capabilities),
      },
    });
  }

  /** How an operation is answered; undefined: it is not. */
  private reply(messaging: Messaging, answers: Answers | undefined, where: string): Json | undefined {
    const { transport } = messaging.described;
    if (!answers || !transport.replies) return undefined;
    const messages = replyMessages(this.registry, messaging, answers);
    for (const key of messages) if (!this.registry.schemas.has(key)) this.undocumented.add(`${where} (reply)`);
    const name = answers.routes.join(',');
    const channel = this.channel(messaging, `reply:${name}`, replyChannel(name, transport), 'reply:', messages);
    return replyOf(channel, messages, transport);
  }

  private routeChannel(messaging: Messaging, route: string, at: RoutePlace, ...messages: string[]): string {
    const { transport, topic: own } = messaging.described;
    const { topic = own } = at;
    // A name with «#» is refused by parsers.
    const { address } = addressOf(route);
    const name = topic === own ? address : `${topic}/${address}`;
    return this.channel(messaging, name, routeChannel(route, at, protocolOf(transport)), 'route:', messages);
  }

  /** `prefix`: what tells the channel from another one of the same name. */
  private channel(
    { connection }: Messaging,
    name: string,
    content: Json,
    prefix: string,
    messages: readonly string[],
  ): string {
    const at = connection === DEFAULT_CONNECTION ? name : `${name}@${connection}`;
    const full = { ...content, servers: [{ $ref: pointerTo('servers', connection) }] };
    const [kind] = Object.keys(content).filter((one) => one.startsWith('x-'));
    const taken = this.channels.get(at);
    const key = taken && !(kind in taken.content) ? `${prefix}${at}` : at;
    const known = this.channels.get(key);
    // A dead-letter queue that is consumed as well is described by who consumes it.
    const isMore = known === undefined || (known.messages.size === 0 && messages.length > 0);
    const draft = { content: isMore ? full : known.content, messages: known?.messages ?? new Set<string>() };
    for (const message of messages) draft.messages.add(message);
    this.channels.set(key, draft);
    return key;
  }

  /** The same name once more: several providers publish the same, or two classes have one name. */
  private operation(id: string, draft: OperationDraft): void {
    const known = this.operations.get(id);
    if (known?.channel === draft.channel && draft.content.action === 'send')
      return draft.messages.forEach((message) => known.messages.add(message));
    let free = id;
    for (let at = 2; this.operations.has(free); at++) free = `${id}.${at}`;
    this.operations.set(free, draft);
  }

  private includes(what: 'connections' | 'actions', value: string): boolean {
    const wanted: readonly string[] | undefined = this.options.include?.[what];
    return wanted === undefined || wanted.includes(value);
  }

  private includesRoute(route: string): boolean {
    return this.routeMatchers === undefined || this.routeMatchers.some((matches) => matches(wordsOf(route)));
  }
}

/** What the compiler writes down where a parameter's type is no class of the application. */
const NO_PAYLOAD_CLASS = new Set<unknown>([Object, Array, String, Number, Boolean, Promise, Function, Date, Buffer]);

function said({ summary, description, tags = [], deprecated = false }: Described): Json {
  return { summary, description, ...tagged(tags), ...(deprecated && { 'x-deprecated': true }) };
}

function tagged(tags: readonly string[]): Json {
  return tags.length > 0 ? { tags: [...new Set(tags)].map((name) => ({ name })) } : {};
}

function channelOf({ content, messages }: ChannelDraft): Json {
  const refs = [...messages].map((key) => [key, { $ref: pointerTo('components', 'messages', key) }] as const);
  return { ...content, ...(refs.length > 0 && { messages: ordered(refs) }) };
}

function operationOf({ channel, messages, content }: OperationDraft): Json {
  const { action, ...rest } = content;
  const refs = [...messages].sort().map((key) => ({ $ref: pointerTo('channels', channel, 'messages', key) }));
  return { action, channel: { $ref: pointerTo('channels', channel) }, messages: refs, ...rest };
}
