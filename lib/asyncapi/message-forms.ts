import { isObject, type Json } from './json.js';
import { resolved } from './schema-source.js';

/** The forms in a message of a document that are read beside the one that is written. */
export const ACCEPTS = 'x-nestjs-messaging-accepts';

/** One way in which a message travels. */
export interface MessageForm {
  readonly contentType: unknown;
  readonly payload: unknown;
  /** Headers that are always there. */
  readonly headers: readonly string[];
}

/** The one that is written first. */
export function formsOf(source: Json, message: Json): readonly MessageForm[] {
  const others = Array.isArray(message[ACCEPTS]) ? message[ACCEPTS].filter(isObject) : [];
  return [message, ...others].map((one) => ({
    contentType: one.contentType,
    payload: one.payload,
    headers: requiredIn(source, one.headers),
  }));
}

/** Whether a reader of `form` takes what is written as `written` for that. */
export function takes(form: MessageForm, written: MessageForm): boolean {
  return form.contentType === written.contentType && form.headers.every((name) => written.headers.includes(name));
}

function requiredIn(source: Json, schema: unknown): string[] {
  const found = resolved(source, schema);
  if (!isObject(found)) return [];
  const { required, allOf } = found;
  const own = Array.isArray(required) ? required.map(String) : [];
  return [...own, ...(Array.isArray(allOf) ? allOf.flatMap((one) => requiredIn(source, one)) : [])];
}
