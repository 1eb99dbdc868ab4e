import type { SubscriptionDefinition } from './consumer/subscription/subscription-definition.js';
import { DEAD_LETTERS_UNSEEN } from './dead-letter/dead-letters.js';
import type { Log } from './events/log.js';
import type { Transport } from './transport/transport.js';

/** Says what the broker cannot do of what these subscriptions ask for, and what helps. */
export function tellLimits(
  consumers: readonly { readonly definition: SubscriptionDefinition }[],
  { system, queues, capabilities }: Pick<Transport, 'system' | 'queues' | 'capabilities'>,
  archives: boolean,
  log: Log,
): void {
  if (!queues && !archives && consumers.some(({ definition }) => definition.topology.deadLetter))
    log.warn(`The queues of ${system} cannot be looked into: ${DEAD_LETTERS_UNSEEN}`);
  if (capabilities.keyOrder !== 'none') return;
  for (const { definition } of consumers)
    if (definition.concurrency.keyOf)
      log.log(
        `«${definition.topology.queue}»: messages of one key keep their order within one process. Over several, ${system} hands them to whichever asks: run one, or make the handler idempotent`,
      );
}
