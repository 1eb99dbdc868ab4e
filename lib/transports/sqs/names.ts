import { createHash } from 'node:crypto';

/** What SQS takes of a queue's name. */
const MOST_CHARACTERS = 80;
const MOST_CHARACTERS_OF_TOPIC = 256;
const HASH_CHARACTERS = 24;

/** The name of a queue on SQS. Different texts stay different: `_3A` stands for a colon, `_5F` for an underscore. */
export function queueName(prefix: string, queue: string, ending = '', mostCharacters = MOST_CHARACTERS): string {
  const most = mostCharacters - prefix.length - ending.length;
  const name = escaped(queue, /[^A-Za-z0-9-]/gu, '_');
  return `${prefix}${name.length <= most ? name : shortened(name, queue, most)}${ending}`;
}

/** The name of a topic on SNS. */
export function topicName(prefix: string, topic: string, fifo: boolean): string {
  return queueName(prefix, topic, fifo ? '.fifo' : '', MOST_CHARACTERS_OF_TOPIC);
}

/** What a group or a de-duplication id may hold. */
export function legalId(text: string): string {
  if (/^[!-~]{1,128}$/.test(text)) return text;
  return createHash('sha256').update(text).digest('hex');
}

/** The value of a tag. */
export function tagValue(text: string): string {
  return escaped(text, /[^A-Za-z0-9 .:/@_+-]/gu, '=');
}

export function fromTagValue(value: string): string {
  try {
    return decodeURIComponent(value.replace(/=([\dA-F]{2})/g, '%$1'));
  } catch {
    return value;
  }
}

function escaped(text: string, special: RegExp, mark: string): string {
  return text.replace(special, (character) =>
    [...Buffer.from(character)].map((byte) => `${mark}${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

function shortened(name: string, text: string, most: number): string {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);
  return `${name.slice(0, most - HASH_CHARACTERS - 1)}_${hash}`;
}
