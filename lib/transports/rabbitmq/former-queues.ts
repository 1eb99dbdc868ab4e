import type { Bound } from '../kit/answered.js';
import { queueDepth } from './browser.js';
import { consumerCounts } from './consumer-counts.js';
import type { DeclaredRecord, RecordedBinding } from './declared-record.js';
import { commandToUnbind } from './former-bindings.js';
import type { RabbitmqConnection } from './connection.js';

/**
 * Queues of subscriptions that were removed altogether: they stay bound, and fill. Nobody can say for sure that a queue is
 * one: another application of the service may declare it and be away. So only one that holds messages while nobody
 * consumes it is told, once per process, after the others have had a minute to start; it is left alone.
 */
export class FormerQueues {
  private looked = false;

  constructor(
    private readonly record: DeclaredRecord,
    private readonly connection: RabbitmqConnection,
    private readonly bound: Bound,
    private readonly warn: (message: string) => void,
  ) {}

  /** `declared`: the queues of this process. One that has none knows nothing. It does not reject. */
  async look(declared: ReadonlySet<string>): Promise<void> {
    if (this.looked || declared.size === 0) return;
    const others: [string, readonly RecordedBinding[]][] = [];
    try {
      await this.record.change(false, async (bindings) => {
        for (const [queue, all] of bindings) {
          const own = all.filter((one) => one.queue === queue && !one.unbound);
          if (own.length > 0 && !declared.has(queue)) others.push([queue, own]);
        }
        return undefined;
      });
      for (const [queue, bindings] of others) await this.tell(queue, bindings);
      this.looked = true;
    } catch {
      // A user who may not read the record was told so; what waiting cures is tried with the next renewal.
    }
  }

  private async tell(queue: string, bindings: readonly RecordedBinding[]): Promise<void> {
    const model = this.connection.current;
    if (!model) throw new Error('not connected');
    const depth = await queueDepth(model, this.bound, queue);
    if (!depth) return;
    const [consumers = 0] = await consumerCounts(model, this.bound, [queue]);
    if (consumers > 0) return;
    const routes = bindings.map(({ exchange, key }) => `«${key}» on «${exchange}»`).join(', ');
    const commands = bindings.map(commandToUnbind).join('; ');
    this.warn(
      `«${queue}» holds ${depth} messages, and nobody consumes it. This service has bound it by ${routes}, and this process does not declare it. Where no other application does either, its subscription was removed and it fills for ever. To end that: ${commands}. To delete it with its messages: rabbitmqadmin delete queue name='${queue}'`,
    );
  }
}
