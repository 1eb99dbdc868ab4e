import type { Topology } from '../../../transport/topology.js';
import { withChannel } from '../connection/amqplib.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { describe, reply, replyCode } from '../connection/broker-errors.js';
import { queueDepth } from '../queues/browser.js';
import { consumerCounts } from '../queues/consumer-counts.js';
import {
  type Binding,
  type BindingRecord,
  type DeclaredRecord,
  type RecordedBinding,
  same,
} from '../queues/declared-record.js';
import type { Operation } from './operations.js';
import type { RabbitmqConnection } from '../connection/connection.js';

/** Of the bindings that a queue had once, so many are remembered. */
const MOST_FORMER = 100;

/** What is to become of the bindings that this service has made for a queue before, and does not ask for any more. */
interface Former {
  /** Stands for the queue and what it is to be bound by. */
  readonly key: string;
  readonly unbind: readonly RecordedBinding[];
  /** Another process may still want these bindings, or nothing may be changed. */
  readonly keep: readonly Binding[];
}

const NOTHING: Former = { key: '', unbind: [], keep: [] };

/**
 * Finds the bindings that an earlier version of the service has left behind: a route that changed, a dead-letter queue that
 * was renamed. What leads to a queue is unbound while no process consumes it, since one of the earlier version would lose
 * what it still handles; otherwise the log says how. A former dead-letter queue is unbound at once: nothing is lost by
 * that. Only what the record says that the service has bound itself is touched.
 */
export class FormerBindings {
  /** By what was declared. Former dead-letter queues stay: an earlier version binds them again as long as it runs. */
  private readonly found = new Map<string, Former>();
  private told = false;
  /** The queues that this process has declared. */
  readonly declared = new Set<string>();

  constructor(
    private readonly record: DeclaredRecord,
    private readonly connection: RabbitmqConnection,
    private readonly bound: AnswerTimeout,
    private readonly warn: (message: string) => void,
  ) {}

  /** Before what is wanted is declared, so that nothing is bound without being on record. It does not reject. */
  async find(topology: Topology, operations: readonly Operation[], provision: boolean): Promise<Former> {
    const { queue } = topology;
    this.declared.add(queue);
    const { partitionOf, membersOf, exclusive } = topology;
    if (partitionOf !== undefined || membersOf !== undefined || exclusive !== undefined) return NOTHING;
    const wanted = operations.flatMap((one) => (one.kind === 'binding' ? [one] : []));
    const key = JSON.stringify([queue, wanted]);
    const known = this.found.get(key);
    if (known) return known;
    const model = this.connection.current;
    let former: Former = { ...NOTHING, key };
    try {
      await this.record.change(provision, async (bindings) => {
        former = { ...(await this.decide(queue, wanted, bindings, provision)), key };
        return provision ? recorded(queue, wanted, former, bindings) : undefined;
      });
    } catch (error) {
      if (provision && model && model === this.connection.current) this.tellUnknown(error);
      // A user without permission for it: nothing is known then. What waiting cures is tried with the next declaration.
      if (replyCode(error) === reply.accessRefused) this.found.set(key, NOTHING);
      return NOTHING;
    }
    this.found.set(key, former);
    for (const one of former.keep)
      this.warn(
        `${left(one)}, ${provision ? 'but another process consumes the queue and may want it. If none does' : 'and «provision» is false. To remove it'}: ${commandToUnbind(one)}`,
      );
    return former;
  }

  /** After what is wanted was declared. It does not reject. */
  async unbind({ key, unbind }: Former, topology: Topology): Promise<void> {
    const model = this.connection.current;
    if (!model || unbind.length === 0) return;
    try {
      await withChannel(model, this.bound, async (channel) => {
        for (const { queue, exchange, key, arguments: given } of unbind)
          await channel.unbindQueue(queue, exchange, key, given ?? {});
      });
    } catch (error) {
      const commands = unbind.map(commandToUnbind).join('; ');
      this.warn(`Not unbound: ${this.connection.redact(describe(error))}. To do so: ${commands}`);
      return;
    }
    const again = unbind.filter((one) => one.queue !== topology.queue);
    this.found.set(key, { ...NOTHING, key, unbind: again.map((one) => ({ ...one, unbound: true as const })) });
    for (const one of unbind) await this.tell(one, topology);
  }

  /** Warns once: the cause is the same for every subscription. */
  private tellUnknown(error: unknown): void {
    if (this.told) return;
    this.told = true;
    this.warn(
      `What this service has bound before is not known, and so stays bound: ${this.connection.redact(describe(error))}. It is on record in the queue «${this.record.queue}», which the user has to configure, write and read`,
    );
  }

  private async decide(
    queue: string,
    wanted: readonly Binding[],
    bindings: BindingRecord,
    provision: boolean,
  ): Promise<Omit<Former, 'key'>> {
    // A process that binds nothing leaves to others what the queue is bound by.
    const isBound = wanted.some((one) => one.queue === queue);
    const unwanted = (bindings.get(queue) ?? []).filter(
      (one) =>
        (isBound || one.queue !== queue) &&
        !wanted.some((two) => same(one, two)) &&
        !isWantedElsewhere(one, queue, bindings),
    );
    if (unwanted.length === 0) return NOTHING;
    const [consumers = 0] = await consumerCounts(this.connection.current!, this.bound, [queue]);
    const mayUnbind = (one: Binding): boolean => provision && (consumers === 0 || one.queue !== queue);
    return {
      unbind: unwanted.filter(mayUnbind),
      keep: unwanted.filter((one) => !one.unbound && !mayUnbind(one)),
    };
  }

  private async tell(one: RecordedBinding, { queue, deadLetter }: Topology): Promise<void> {
    if (one.unbound) return;
    if (one.queue === queue) {
      this.warn(
        `Unbound «${queue}» from «${one.exchange}» by «${one.key}»: this service declared that before, and not any more. What the queue has stays`,
      );
      return;
    }
    const model = this.connection.current;
    const depth = model && (await queueDepth(model, this.bound, one.queue).catch(() => undefined));
    const now = deadLetter ? `, dead letters of «${queue}» go to «${deadLetter.queue}»` : '';
    this.warn(
      `Unbound «${one.queue}» from «${one.exchange}» by «${one.key}»: this service declared that before, and not any more${now}. It holds ${depth ?? 0} messages and is left alone: npx nestjs-messaging dead-letters list --queue '${one.queue}'`,
    );
  }
}

/** Subscriptions may share a dead-letter queue. */
function isWantedElsewhere(binding: Binding, queue: string, bindings: BindingRecord): boolean {
  return [...bindings].some(
    ([other, theirs]) => other !== queue && theirs.some((one) => !one.unbound && same(one, binding)),
  );
}

/** Undefined where the record says all already. */
export function recorded(
  queue: string,
  wanted: readonly Binding[],
  { unbind }: Pick<Former, 'unbind'>,
  bindings: BindingRecord,
): BindingRecord | undefined {
  const before = bindings.get(queue) ?? [];
  const former = before
    .filter((one) => !wanted.some((two) => same(one, two)))
    .slice(-MOST_FORMER)
    .map((one) => (unbind.includes(one) ? { ...one, unbound: true as const } : one));
  const now: RecordedBinding[] = [
    ...former,
    ...wanted.map(({ queue: to, exchange, key, arguments: given }) => ({
      ...{ queue: to, exchange, key },
      ...(given && { arguments: given }),
    })),
  ];
  const isNew = now.some((one) => !before.some((two) => same(one, two) && one.unbound === two.unbound));
  if (!isNew) return undefined;
  const changed = new Map(bindings);
  changed.delete(queue);
  return changed.set(queue, now);
}

function left({ queue, exchange, key }: Binding): string {
  return `«${queue}» is still bound to «${exchange}» by «${key}»: this service declared that before, and not any more`;
}

/** The management plugin calls a binding by its key and a checksum of its arguments, which only the broker can tell. */
export function commandToUnbind({ queue, exchange, key, arguments: given = {} }: Binding): string {
  const shown = encodeURIComponent(key).replace(/[~']/g, (one) => (one === '~' ? '%7E' : '%27'));
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const ends = `source=${quoted(exchange)} destination_type=queue destination=${quoted(queue)}`;
  if (Object.keys(given).length === 0) return `rabbitmqadmin delete binding ${ends} properties_key='${shown || '~'}'`;
  return `rabbitmqadmin delete binding ${ends} properties_key='${shown}~…', which «rabbitmqadmin list bindings source destination arguments properties_key» shows for the arguments ${JSON.stringify(given)}`;
}
