import { randomUUID } from 'node:crypto';

const SIZE = 256;

const sample = {
  number: 0,
  at: 0,
  name: 'order.created',
  customer: 'c-1029384756',
  total: 1299.9,
  open: true,
  note: '',
};

/** What both sides publish: 256 bytes as JSON. `at` is the monotonic clock, which all processes of a machine share. */
export function bodyOf(number) {
  const body = { ...sample, number: 1_000_000 + (number % 1_000_000), at: Math.round(monotonic() * 1_000) };
  body.note = padding(body);
  return body;
}

/** With a `pattern` in the envelope that Nest's own transport puts around a body. */
export function bytesOf(number, pattern) {
  const data = bodyOf(number);
  return Buffer.from(JSON.stringify(pattern ? { pattern, data } : data));
}

const NOTE = 'x'.repeat(SIZE);
const FIXED = JSON.stringify({ ...sample, number: 1_000_000 }).length - 1;

function padding({ at }) {
  return NOTE.slice(0, SIZE - FIXED - digits(at));
}

function digits(value) {
  return Math.floor(Math.log10(value)) + 1;
}

/** The properties and headers that the package gives a message, for those who publish without it. */
export function propertiesOf(route) {
  return {
    mandatory: true,
    persistent: true,
    messageId: randomUUID(),
    type: route,
    contentType: 'application/json',
    headers: { 'messaging-time': Date.now(), 'messaging-version': 1 },
  };
}

/** Milliseconds on the clock that all processes of a machine share. */
export function monotonic() {
  return Number(process.hrtime.bigint()) / 1e6;
}
