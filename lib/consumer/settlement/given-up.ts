import type { Delivery } from '../../transport/delivery.js';

/**
 * Ends a message that has no dead-letter queue of ours: its queue may have a dead-letter exchange of its owner's, also by a
 * policy, which no client is told of. So the broker decides, where it can.
 */
export function giveUp(delivery: Delivery): void {
  if (delivery.reject) delivery.reject();
  else delivery.ack();
}

/** What `giveUp` does, for a log line. */
export function givenUp(delivery: Delivery): 'rejected' | 'dropped' {
  return delivery.reject ? 'rejected' : 'dropped';
}

/** Who has the message after `giveUp`: the end of that log line. */
export function whoTakes(delivery: Delivery): string {
  return delivery.reject
    ? '. A dead-letter exchange that the queue has from its owner takes it; without one it is dropped'
    : '';
}
