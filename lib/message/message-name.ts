import type { WireMessage } from './message.js';

/** How a log line names a message. A foreign one without an id is told by its route, and by its correlation id where it has one. */
export function nameOf({ id, route, properties }: Pick<WireMessage, 'id' | 'route' | 'properties'>): string {
  if (id !== '') return `message ${id}`;
  const { correlationId } = properties;
  const correlated = correlationId === undefined ? '' : `, correlation id ${correlationId}`;
  return `a message without an id (route «${route}»${correlated})`;
}
