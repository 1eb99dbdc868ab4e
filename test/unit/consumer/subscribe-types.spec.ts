import { beforeAll, describe, expect, test } from '@jest/globals';
import { scratchFolder, typeErrors } from '../../docs/type-check.js';

const PREAMBLE = `
import { message, type MessageContext, Subscribe, SubscribeBatch, type BatchContext } from 'nestjs-messaging';
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

describe('the types of decorators', () => {
  const file = scratchFolder('decorators');
  const errors = new Map<string, string[]>();

  beforeAll(() => {
    const method = (decorator: string): string =>
      decorator.startsWith('@SubscribeBatch')
        ? `class Some { ${decorator} handle(orders: Order[], context: BatchContext): void {} }`
        : `class Some { ${decorator} handle(order: Order, context: MessageContext): void {} }`;
    const decorators = [...ACCEPTED, ...ACCEPTED_BATCHES, ...REFUSED.map(([decorator]) => decorator)];
    const others = `class Some { @Subscribe(contract) handle(order: string): void {} @SubscribeBatch(contract, { size: 2 }) all(orders: string[]): void {} }`;
    const files = [...decorators.map(method), others].map((text, at) => file(`${at}.ts`, PREAMBLE + text));
    const found = [...typeErrors(files).values()];
    [...decorators, 'another payload'].forEach((decorator, at) => errors.set(decorator, found[at]));
  }, 120_000);

  test.each([...ACCEPTED, ...ACCEPTED_BATCHES])('%s is accepted', (decorator) => {
    expect(errors.get(decorator)).toEqual([]);
  });

  test.each(REFUSED)('%s is one error of at most two lines', (decorator, said) => {
    const [error, ...more] = errors.get(decorator)!;
    expect(more).toEqual([]);
    expect(error).toMatch(said);
    expect(error.split('\n').length).toBeLessThanOrEqual(2);
  });

  test('a method that takes another payload than its contract has is refused', () => {
    const said = errors.get('another payload')!;
    expect(said).toHaveLength(2);
    for (const one of said) expect(one).toMatch(/'Order(\[\])?' is not assignable to type 'string(\[\])?'/);
  });
});
