import type { BodyViews } from './body-view.js';
import type { HeldLetter } from './held-letter.js';
import { queueOf } from './letter-groups.js';
import { header, type HeaderValue, integerHeader } from '../message/headers.js';

const MAX_MESSAGE = 300;

/** A dead letter in a list. */
export function summaryOfLetter(held: HeldLetter): object {
  const { key, place, letter, bytes } = held;
  const { id, route, reason, error, attempts, time } = letter;
  const told = { class: error.class, code: error.code, message: error.message.slice(0, MAX_MESSAGE) };
  return { key, place, id, queue: queueOf(held), route, reason, error: told, attempts, time, bytes };
}

/** A dead letter on a page of its own. */
/** `inMemory`: the publisher keeps its dead letters where no command reaches. */
export function pageOfLetter(held: HeldLetter, bodies: BodyViews, mayRead: boolean, inMemory: boolean): object {
  const { letter, bytes, archived } = held;
  const isHeld = letter.body.length === bytes;
  const body = isHeld ? bodies.view(letter.body, mayRead) : { bytes, hidden: 'Too large to be held for this page' };
  return {
    ...summaryOfLetter(held),
    error: letter.error,
    origin: letter.origin,
    headers: Object.entries(letter.headers).map(([name, value]) => [name, textOf(value)]),
    body,
    archivedAt: archived?.at,
    trail: trailOf(held),
    command: held.place === 'publisher' && inMemory ? undefined : commandFor(held),
  };
}

/** What its headers say of its way, in order. */
function trailOf({ letter, archived }: HeldLetter): { at?: number; text: string }[] {
  const { headers, origin, attempts, error, reason, time } = letter;
  const published = integerHeader(headers, header.time, 0, Number.MAX_SAFE_INTEGER);
  const by = [origin.service, origin.host].filter((part) => part !== undefined).join(' on ');
  const steps: { at?: number; text: string }[] = [
    {
      at: published,
      text: `Published with the route «${letter.route}»${origin.topic === undefined ? '' : ` to «${origin.topic}»`}`,
    },
  ];
  if (origin.queue !== undefined) steps.push({ text: `Delivered to the queue «${origin.queue}»` });
  if (attempts > 0)
    steps.push({ text: `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}, the last one: ${error.class}` });
  steps.push({ at: time, text: `Given up${by === '' ? '' : ` by ${by}`}: ${reason}` });
  if (letter.deadLetterQueue !== undefined) steps.push({ text: `Dead letter in «${letter.deadLetterQueue}»` });
  if (archived) steps.push({ at: archived.at, text: 'Moved into the archive' });
  return steps;
}

/** The same from a shell. */
function commandFor({ place, letter }: HeldLetter): string | undefined {
  if (letter.id === '') return undefined;
  const files = { archive: '--archive <file>', publisher: '--retry-queue <folder>' };
  const where = place === 'queue' ? `--queue ${quoted(letter.deadLetterQueue!)}` : files[place];
  return `npx nestjs-messaging dead-letters redrive ${where} --id ${quoted(letter.id)}`;
}

function quoted(text: string): string {
  return /^[\w.:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function textOf(value: HeaderValue): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}
