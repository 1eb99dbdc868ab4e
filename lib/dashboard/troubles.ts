import type { HealthReport } from '../health/health-report.js';

/** Something that is wrong, and the page that helps. */
export interface Trouble {
  readonly text: string;
  readonly page: 'subscriptions' | 'dead-letters' | 'publisher' | 'queues' | '';
}

export function troublesOf(health: HealthReport): Trouble[] {
  const { connection, consumers, retryQueue, deadLetters, undeliverable = 0 } = health;
  const found: Trouble[] = [];
  const add = (isSo: boolean, page: Trouble['page'], text: string): void => void (isSo && found.push({ text, page }));
  const down = connection.state !== 'connected';
  add(down, '', `The connection is ${connection.state}: ${connection.reason ?? ''}. ${connection.advice ?? ''}`);
  for (const { queue, state, reason } of consumers) {
    add(reason !== undefined, 'subscriptions', `«${queue}»: ${reason}`);
    add(reason === undefined && state === 'paused', 'subscriptions', `«${queue}» is paused`);
  }
  const queued = deadLetters.queues.reduce((sum, { count }) => sum + count, 0);
  add(queued > 0, 'dead-letters', `${queued} dead letters are in queues`);
  add(deadLetters.publisher > 0, 'publisher', `${deadLetters.publisher} messages could not be published`);
  add(retryQueue.depth > 0, 'publisher', `${retryQueue.depth} messages wait to be published`);
  add(retryQueue.healthy === false, 'publisher', 'The publisher retry queue cannot be written to its disk');
  add(
    (retryQueue.quarantined ?? 0) > 0,
    'publisher',
    `${retryQueue.quarantined} files or messages were put aside, since they cannot be read`,
  );
  for (const { to, reason } of retryQueue.nacked ?? [])
    add(true, 'publisher', `The broker takes nothing for «${to}»: ${reason}`);
  add(undeliverable > 0, 'publisher', `${undeliverable} delayed messages are due, and no queue takes them`);
  return found;
}
