import type { AnswerTimeout } from '../../../clock/answered.js';
import { FormerQueues, type UnattendedQueue } from '../../kit/former-queues.js';
import { queueDepth } from '../queues/browser.js';
import { consumerCounts } from '../queues/consumer-counts.js';
import type { DeclaredRecord, RecordedBinding } from '../queues/declared-record.js';
import { commandToUnbind } from './former-bindings.js';
import type { RabbitmqConnection } from '../connection/connection.js';

/** By the record of what the service has declared. A user who may not read that was told so. */
export function formerQueues(
  record: DeclaredRecord,
  connection: RabbitmqConnection,
  bound: AnswerTimeout,
  warn: (message: string) => void,
): FormerQueues {
  const look = async (queue: string, bindings: readonly RecordedBinding[]): Promise<UnattendedQueue[]> => {
    const model = connection.current;
    if (!model) throw new Error('not connected');
    const messages = await queueDepth(model, bound, queue);
    if (!messages) return [];
    const [consumers = 0] = await consumerCounts(model, bound, [queue]);
    if (consumers > 0) return [];
    const remedy = `To end that: ${bindings.map(commandToUnbind).join('; ')}. To delete it with its messages: rabbitmqadmin delete queue name='${queue}'`;
    return [{ queue, messages, bindings: bindings.map(({ exchange, key }) => `«${key}» on «${exchange}»`), remedy }];
  };
  return new FormerQueues(async (declared) => {
    const others: [string, readonly RecordedBinding[]][] = [];
    await record.change(false, async (bindings) => {
      for (const [queue, all] of bindings) {
        const own = all.filter((one) => one.queue === queue && !one.unbound);
        if (own.length > 0 && !declared.has(queue)) others.push([queue, own]);
      }
      return undefined;
    });
    const found: UnattendedQueue[] = [];
    for (const [queue, bindings] of others) found.push(...(await look(queue, bindings)));
    return found;
  }, warn);
}
