import { isObject } from './json.js';

/** A key that YAML takes for a text as it stands. */
const PLAIN_KEY = /^[A-Za-z_$][\w.$-]*$/;
/** What YAML 1.1 takes for something else than a text. */
const NO_TEXT = /^(y|n|yes|no|on|off|true|false|null)$/i;

/** JSON as YAML: blocks for what has content, and JSON, which YAML is made to hold, for everything else. */
export function toYaml(value: unknown): string {
  return `${block(value, '')}\n`.replace(/^\n/, '');
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value) && value.length > 0)
    return value.map((one: unknown) => `\n${indent}-${below(one, `${indent}  `)}`).join('');
  if (isObject(value) && Object.keys(value).length > 0)
    return Object.entries(value)
      .map(([key, one]) => `\n${indent}${keyOf(key)}:${below(one, `${indent}  `)}`)
      .join('');
  return JSON.stringify(value);
}

function below(value: unknown, indent: string): string {
  const text = block(value, indent);
  return text.startsWith('\n') ? text : ` ${text}`;
}

function keyOf(key: string): string {
  return PLAIN_KEY.test(key) && !NO_TEXT.test(key) ? key : JSON.stringify(key);
}
