import { randomUUID } from 'node:crypto';
import { bytesOf } from './message.mjs';

const KEYS = 1_000;

export const keyOf = (number) => `customer-${number % KEYS}`;

/** What the package, the raw client and Nest's transport read as. */
export const groupsOf = ({ exchange, queue }) => [
  `${exchange}.queue.${queue.replaceAll(':', '_3A')}`,
  'raw',
  'nest-server',
];

/** A record with the headers that the package gives a message, for those who publish without it. */
export function recordOf({ route }, number) {
  const key = keyOf(number);
  return { key, value: bytesOf(number), headers: headersOf(route, key) };
}

export function headersOf(route, key) {
  return {
    'message-id': randomUUID(),
    'message-route': route,
    'content-type': 'application/json',
    'messaging-key': key,
    'messaging-time': String(Date.now()),
    'messaging-version': '1',
    'messaging-types': '{"messaging-time":"number","messaging-version":"number"}',
  };
}
