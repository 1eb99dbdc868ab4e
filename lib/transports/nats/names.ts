import { createHash } from 'node:crypto';

/** Longer names are cut and end in a hash: on disk they are folders, and a folder name has 255 bytes. */
const MOST_CHARACTERS = 160;
const KEPT_CHARACTERS = 100;

/** What the streams and subjects of one application are called. */
export interface Names {
  readonly stream: string;
  /** Messages that are not due yet. */
  readonly delayed: string;
  readonly delayedSubject: string;
  /** First token of the subjects that no pattern of a subscription reaches. */
  readonly private: string;
}

export function namesOf(stream: string): Names {
  const own = `_${stream}`;
  return { stream, delayed: `${stream}-delayed`, delayedSubject: `${own}-delayed`, private: own };
}

/**
 * A text as one token of a subject, and as the name of a consumer: different texts give different tokens. Not by percent
 * signs: a server takes them in a consumer's name for its own, and garbles where acks go.
 */
export function tokenOf(text: string): string {
  const token = escape(text, /[\s./\\*>%=$\p{C}]|^_/gu, '=') || '=';
  if (token.length <= MOST_CHARACTERS) return token;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 40);
  return `${token.slice(0, KEPT_CHARACTERS)}=~${hash}`;
}

export function directSubject(queue: string, names: Names): string {
  return `${names.private}.${tokenOf(queue)}.queue`;
}

export function deadLetterSubject(route: string, names: Names): string {
  return `${names.private}.${tokenOf(route)}.dlq`;
}

/** Subjects of everything published to a topic. */
export function topicFilter(topic: string): string {
  return `${tokenOf(topic)}.>`;
}

export function routeSubject(topic: string, route: string): string {
  return `${tokenOf(topic)}.${route.split('.').map(wordOf).join('.')}`;
}

/** What every subject of a topic begins with. */
export function topicPrefix(topic: string): string {
  return `${tokenOf(topic)}.`;
}

/** The route in a subject of the topic with this prefix; undefined for a subject of something else. */
export function routeIn(subject: string, prefix: string): string | undefined {
  if (!subject.startsWith(prefix)) return undefined;
  const rest = subject.slice(prefix.length);
  return rest.includes('%') ? rest.split('.').map(unescapeWord).join('.') : rest;
}

/** A word of a route: what a subject cannot hold as it is, and nothing else, is percent-encoded. */
export function wordOf(word: string): string {
  return escape(word, /[\s*>%\p{C}]/gu, '%') || '%';
}

function unescapeWord(word: string): string {
  if (word === '%') return '';
  try {
    return decodeURIComponent(word);
  } catch {
    return word; // A foreign publisher's own use of the sign.
  }
}

function escape(text: string, unsafe: RegExp, sign: string): string {
  return text.replace(unsafe, (character) =>
    [...Buffer.from(character)].map((byte) => `${sign}${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
