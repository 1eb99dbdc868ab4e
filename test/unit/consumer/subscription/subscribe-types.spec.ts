import { beforeAll, describe, expect, test } from '@jest/globals';
import { scratchFolder, typeErrors } from '../../../docs/type-check.js';

const PREAMBLE = `
import { message, type MessageContext, type Messaging, Subscribe, SubscribeBatch, type BatchContext, bounded } from 'nestjs-messaging';
import 'nestjs-messaging/rabbitmq';
import 'nestjs-messaging/nats';
interface Order { readonly id: number }
const contract = message<Order>('order.created');
const own: { readonly route: string } = { route: 'order.created' };
`;

/** Each is a decorator on a method that takes an Order. */
const ACCEPTED = [
  `@Subscribe('order.created')`,
  `@Subscribe('order.created', { dlq: true, prefetch: 20 })`,
  `@Subscribe('order.created', undefined)`,
  `@Subscribe(['order.created', contract], { name: 'orders' })`,
  `@Subscribe(['order.created'])`,
  `@Subscribe({ route: 'order.created', dlq: false })`,
  `@Subscribe({ route: ['order.created', own], name: 'orders' })`,
  `@Subscribe({ route: contract, dlq: false })`,
  `@Subscribe(own, { dlq: false })`,
  `@Subscribe(own)`,
  `@Subscribe(contract)`,
  `@Subscribe(contract, { prefetch: 20 })`,
  `@Subscribe({ ...contract, prefetch: 20 })`,
  `@Subscribe('order.created', { rabbitmq: { queueType: 'classic', arguments: { 'x-max-length': 5 } } })`,
  `@Subscribe('order.created', { nats: {}, memory: { maxMessages: 5 } })`,
];

/** The same for an array of Orders. */
const ACCEPTED_BATCHES = [
  `@SubscribeBatch('order.created', { size: 20 })`,
  `@SubscribeBatch(['order.created'], { size: 20, name: 'orders' })`,
  `@SubscribeBatch({ route: 'order.created', size: 20 })`,
  `@SubscribeBatch(contract, { size: 20 })`,
  `@SubscribeBatch({ ...contract, size: 20 })`,
  `@SubscribeBatch({ route: 'order.created', size: 20, rabbitmq: { queueType: 'classic' } })`,
];

/** Each is an expression in a function that has a Messaging. */
const ACCEPTED_CALLS = [
  `messaging.subscribe({ route: 'order.created' }, (order) => { const all: unknown = order; return all; })`,
  `messaging.subscribe({ route: 'order.created', dlq: false }, (order: Order, context) => context.extend(order.id))`,
  `messaging.subscribe<Order>({ route: ['order.created', 'order.paid'], name: 'orders' }, (order) => order.id.toFixed())`,
  `messaging.subscribe({ route: contract, prefetch: 5 }, (order) => order.id.toFixed())`,
  `messaging.subscribe({ route: [contract, own], name: 'orders' }, () => {})`,
  `messaging.subscribe({ route: contract, rabbitmq: { queueType: 'classic' } }, async (order: { id: number | string }) => order)`,
  `messaging.subscribeBatch({ route: contract, size: 20 }, ([order]) => void order.id.toFixed())`,
  `messaging.subscribeBatch<Order>({ route: 'order.created', size: 20 }, ([order]) => void order.id.toFixed())`,
  `messaging.receive('order.created')`,
  `messaging.receive<Order>('order.created').next().then(({ value }) => value!.payload.id.toFixed())`,
  `messaging.receive(contract).next().then(({ value }) => value!.payload.id.toFixed())`,
  `messaging.receive(message<Order>('order.created')).next().then(({ value }) => value!.payload.id.toFixed())`,
  `messaging.receive({ route: contract, prefetch: 5 }).next().then(({ value }) => value!.payload.id.toFixed())`,
  `messaging.receive({ ...contract, prefetch: 5 }).next().then(({ value }) => value!.payload.id.toFixed())`,
  `messaging.receive<Order>({ route: 'order.created', signal: AbortSignal.timeout(5) })`,
  `messaging.receive({ route: ['order.created', own], name: 'orders', rabbitmq: { queueType: 'classic' } })`,
];

/** What the compiler says, in one line or two. */
const REFUSED: readonly (readonly [string, RegExp])[] = [
  [`@Subscribe('a', { dql: true })`, /'dql' does not exist in type 'SubscriptionOptions'/],
  [`@Subscribe('a', { prefetch: '20' })`, /Type 'string' is not assignable to type 'number'/],
  [
    `@Subscribe('a', { rabbitmq: { queueTyp: 'quorum' } })`,
    /'queueTyp' does not exist.*Did you mean to write 'queueType'\?/,
  ],
  [`@Subscribe('a', { rabbitmq: { queueType: 'quorun' } })`, /"quorun".*Did you mean '"quorum"'\?/],
  [`@Subscribe('a', { rabitmq: {} })`, /'rabitmq' does not exist in type 'SubscriptionOptions'/],
  [`@Subscribe('a', { nats: { ackWait: 5 } })`, /Type 'number' is not assignable to type 'undefined|never'/],
  [
    `@Subscribe('a', { memory: { maxMessage: 5 } })`,
    /'maxMessage' does not exist.*Did you mean to write 'maxMessages'\?/,
  ],
  [`@Subscribe(contract, { dql: true })`, /'dql' does not exist in type 'SubscriptionOptions'/],
  [`@Subscribe(['a'], { dql: true })`, /'dql' does not exist in type 'SubscriptionOptions'/],
  [`@Subscribe({ route: 'a', dql: true })`, /'dql' does not exist in type/],
  [`@Subscribe({ route: contract, dql: true })`, /'dql' does not exist in type/],
  [`@Subscribe({ route: 'a', prefetch: '20' })`, /Type 'string' is not assignable to type 'number'/],
  [`@Subscribe({ route: 'a', rabbitmq: { queueTyp: 'quorum' } })`, /'queueTyp' does not exist/],
  [`@Subscribe({ route: 'a', rabbitmq: { queueType: 'quorun' } })`, /Did you mean '"quorum"'\?/],
  [`@Subscribe({ dlq: true })`, /'route' is missing in type '\{ dlq: true; \}'/],
  [`@Subscribe(7)`, /'number' is not assignable to parameter/],
  [`@Subscribe()`, /Expected 1-2 arguments, but got 0/],
  [`@SubscribeBatch('a', { size: 20, dql: true })`, /'dql' does not exist in type 'BatchSubscriptionOptions'/],
  [`@SubscribeBatch('a', { size: '20' })`, /Type 'string' is not assignable to type 'number'/],
  [`@SubscribeBatch('a', { size: 20, rabbitmq: { queueTyp: 'quorum' } })`, /'queueTyp' does not exist/],
  [`@SubscribeBatch({ route: 'a', size: 20, dql: true })`, /'dql' does not exist in type/],
  [`@SubscribeBatch({ route: 'a', size: '20' })`, /Type 'string' is not assignable to type 'number'/],
  [`@SubscribeBatch('a', {})`, /'size' is missing in type '\{\}'/],
];

/** The same of what is no decorator. */
const REFUSED_CALLS: readonly (readonly [string, RegExp])[] = [
  [`messaging.subscribe({ route: 'a', dql: true }, () => {})`, /'dql' does not exist in type/],
  [`messaging.subscribe({ route: contract, dql: true }, () => {})`, /'dql' does not exist in type/],
  [`messaging.subscribe({ route: ['a', 'b'], name: 'n', dql: true }, () => {})`, /'dql' does not exist in type/],
  [`messaging.subscribe({ route: 'a', prefetch: '20' }, () => {})`, /'string' is not assignable to type 'number'/],
  [`messaging.subscribe({ route: 'a', rabbitmq: { queueTyp: 'quorum' } }, () => {})`, /'queueTyp' does not exist/],
  [`messaging.subscribe({ route: 'a', rabbitmq: { queueType: 'quorun' } }, () => {})`, /Did you mean '"quorum"'\?/],
  [`messaging.subscribe({ dlq: true }, () => {})`, /'route' is missing in type/],
  [`messaging.subscribe({ route: 7 }, () => {})`, /'number' is not assignable to type/],
  [`messaging.subscribe('a', () => {})`, /'string' is not assignable to parameter/],
  [`messaging.subscribe({ route: 'a' })`, /Expected 2 arguments, but got 1/],
  [`messaging.subscribeBatch({ route: 'a', size: 2, dql: true }, () => {})`, /'dql' does not exist in type/],
  [`messaging.subscribeBatch({ route: contract, size: 2, dql: true }, () => {})`, /'dql' does not exist in type/],
  [`messaging.subscribeBatch({ route: 'a', size: '2' }, () => {})`, /'string' is not assignable to type 'number'/],
  [`messaging.subscribeBatch({ route: 'a' }, () => {})`, /'size' is missing in type/],
  [`messaging.receive({ route: 'a', dql: true })`, /'dql' does not exist in type/],
  [`messaging.receive({ route: contract, dql: true })`, /'dql' does not exist in type/],
  [`messaging.receive({ route: 'a', concurrency: bounded(2) })`, /'concurrency' does not exist in type/],
  [`messaging.receive({ route: 'a', prefetch: '20' })`, /'string' is not assignable to type 'number'/],
  [`messaging.receive({ route: 'a', rabbitmq: { queueTyp: 'quorum' } })`, /'queueTyp' does not exist/],
  [`messaging.receive({ prefetch: 5 })`, /'route' is missing in type/],
  [`messaging.receive(7)`, /'number' is not assignable to parameter/],
];

describe('the types of decorators and of what subscribes at run time', () => {
  const file = scratchFolder('decorators');
  const errors = new Map<string, string[]>();

  beforeAll(() => {
    const program = (text: string): string => {
      if (!text.startsWith('@')) return `export const call = (messaging: Messaging): unknown => ${text};`;
      return text.startsWith('@SubscribeBatch')
        ? `class Some { ${text} handle(orders: Order[], context: BatchContext): void {} }`
        : `class Some { ${text} handle(order: Order, context: MessageContext): void {} }`;
    };
    const refused = [...REFUSED, ...REFUSED_CALLS].map(([text]) => text);
    const texts = [...ACCEPTED, ...ACCEPTED_BATCHES, ...ACCEPTED_CALLS, ...refused];
    const others = `class Some { @Subscribe(contract) handle(order: string): void {} @SubscribeBatch(contract, { size: 2 }) all(orders: string[]): void {} }`;
    const calls = `export const calls = (messaging: Messaging): unknown => [messaging.subscribe({ route: contract }, (order: string) => order), messaging.subscribeBatch({ route: contract, size: 2 }, (orders: string[]) => void orders)];`;
    const files = [...texts.map(program), others, calls].map((text, at) => file(`${at}.ts`, PREAMBLE + text));
    const found = [...typeErrors(files).values()];
    [...texts, 'another payload', 'another payload of a call'].forEach((text, at) => errors.set(text, found[at]));
  }, 120_000);

  test.each([...ACCEPTED, ...ACCEPTED_BATCHES, ...ACCEPTED_CALLS])('%s is accepted', (text) => {
    expect(errors.get(text)).toEqual([]);
  });

  test.each([...REFUSED, ...REFUSED_CALLS])('%s is one error of at most two lines', (text, said) => {
    const [error, ...more] = errors.get(text)!;
    expect(more).toEqual([]);
    expect(error).toMatch(said);
    expect(error.split('\n').length).toBeLessThanOrEqual(2);
  });

  test('a method that takes another payload than its contract has is refused', () => {
    const said = errors.get('another payload')!;
    expect(said).toHaveLength(2);
    for (const one of said) expect(one).toMatch(/'Order(\[\])?' is not assignable to type 'string(\[\])?'/);
  });

  test('a handler that takes another payload than the contract has is refused', () => {
    const said = errors.get('another payload of a call')!;
    expect(said).toHaveLength(2);
    for (const one of said) expect(one).toMatch(/'Order(\[\])?' is not assignable to type 'string(\[\])?'/);
  });
});
