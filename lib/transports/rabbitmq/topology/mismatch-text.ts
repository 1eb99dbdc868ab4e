import type { Topology } from '../../../transport/topology.js';
import type { Declared, Difference } from './differences.js';

/** The options that ask for what is declared. */
const ASKED_BY: Readonly<Record<string, string>> = {
  'x-queue-type': 'queueType',
  'x-delivery-limit': 'deliveryLimit',
  'x-dead-letter-exchange': 'dlq',
  'x-dead-letter-routing-key': 'dlq',
  'x-dead-letter-strategy': 'dlq',
  'x-overflow': 'dlq',
  'x-single-active-consumer': 'singleActiveConsumer',
  'x-expires': 'exclusive.expires',
  durable: 'durable',
  auto_delete: 'autoDelete',
  type: 'exchangeType',
};

/** What is different, which option asks for it, and the options that take it as it is. */
export function mismatchText(operation: Declared, differences: readonly Difference[], topology?: Topology): string {
  const { kind, name } = operation;
  const told = differences
    .map(
      ({ name: argument, wanted, found }) =>
        `another «${argument}»: wanted ${shown(wanted)}, found ${shown(found)} (asked for by ${askedBy(operation, argument, topology)})`,
    )
    .join('; ');
  return `The ${kind} «${name}» exists with ${told}. ${remedy(operation, differences, topology)}`;
}

function remedy({ kind, name }: Declared, differences: readonly Difference[], topology?: Topology): string {
  if (!topology) return `To take it as it is, write that into «rabbitmq.exchanges», or \`declare: false\``;
  const native = acceptedBy(kind, name, differences, topology);
  const otherwise = kind === 'queue' ? 'delete the queue once it is empty' : 'use another exchange';
  if (native === undefined) return `To go on, ${otherwise}`;
  const adopt = name === topology.queue && !topology.exclusive ? ', or `adopt: true` where it is somebody else’s' : '';
  return `To take it as it is, give the subscription of «${topology.queue}» \`rabbitmq: ${literal(native)}\`${adopt}; or ${otherwise}`;
}

/** Of what somebody else is to have made. */
export function missingText({ kind, name: queue }: Pick<Declared, 'kind' | 'name'>): string {
  if (kind === 'exchange')
    return `The exchange «${queue}» does not exist, and is somebody else's to make. Make it, or name it in «rabbitmq.exchanges»`;
  return `The queue «${queue}» does not exist, and with «adopt: true» it is somebody else's to make. Make it, or leave out «adopt»`;
}

function acceptedBy(
  kind: Declared['kind'],
  name: string,
  differences: readonly Difference[],
  { queue, topic, deadLetter, native = {}, partitions }: Topology,
): Readonly<Record<string, unknown>> | undefined {
  if (kind === 'exchange') {
    const [{ name: what, found }] = differences;
    const isTheirs = topic === name && differences.length === 1 && what === 'type';
    return isTheirs ? { ...native, exchangeType: found } : undefined;
  }
  if (partitions !== undefined || (name !== queue && name !== deadLetter?.queue)) return undefined;
  const under = name === queue ? 'arguments' : 'deadLetterArguments';
  const accepted: Record<string, unknown> = { ...native };
  const values: Record<string, unknown> = { ...(native[under] as object | undefined) };
  for (const { name: argument, found } of differences) {
    const option = OPTIONS[argument];
    if (option === undefined) values[argument] = found;
    else if (name === queue) accepted[option] = found === true;
    else return undefined;
  }
  if (Object.keys(values).length > 0) accepted[under] = values;
  return accepted;
}

/** What a queue is asked for by an option of its own only. */
const OPTIONS: Readonly<Record<string, string>> = {
  durable: 'durable',
  auto_delete: 'autoDelete',
  'x-single-active-consumer': 'singleActiveConsumer',
};

function askedBy({ kind, name }: Declared, argument: string, topology?: Topology): string {
  if (!topology) return '«rabbitmq.exchanges»';
  const { queue, deadLetter, native } = topology;
  if (kind === 'queue' && name !== queue && name !== deadLetter?.queue && !name.startsWith(`${queue}.`))
    return 'delayed messages and retries';
  for (const option of ['arguments', 'deadLetterArguments'])
    if (Object.hasOwn(native?.[option] ?? {}, argument)) return `«rabbitmq.${option}»`;
  return `«${ASKED_BY[argument] ?? 'rabbitmq.arguments'}»`;
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : `«${typeof value === 'string' ? value : JSON.stringify(value)}»`;
}

/** As it is written in a program. */
function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value.replace(/[\\']/g, '\\$&')}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  const entries = Object.entries(value).map(
    ([name, one]) => `${/^[a-z]\w*$/i.test(name) ? name : literal(name)}: ${literal(one)}`,
  );
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}
