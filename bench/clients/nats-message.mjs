import { randomUUID } from 'node:crypto';
import { headers } from '@nats-io/transport-node';

/** Where the package publishes a route. */
export const subjectOf = ({ exchange, route }) => `${exchange}.${route}`;

/** The headers that the package gives a message, for those who publish without it. */
export function headersOf(subject, route) {
  const id = randomUUID();
  const lines = headers();
  lines.set('Nats-Msg-Id', `${subject} ${id}`);
  lines.set('Message-Id', id);
  lines.set('Message-Type', route);
  lines.set('Content-Type', 'application/json');
  lines.set('messaging-time', String(Date.now()));
  lines.set('messaging-version', '1');
  lines.set('messaging-types', '{"messaging-time":"number","messaging-version":"number"}');
  return lines;
}
