import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { DocumentChange } from './document-comparison.js';
import { isObject } from './json.js';

/** A change that was agreed upon. */
export interface AcceptedBreak {
  /** The `id` of the change. */
  readonly change: string;
  readonly reason: string;
  /** `2026-11-30`. */
  readonly date: string;
}

/** A list of accepted changes, checked. @throws InvalidOptionError */
export function checkAccepted(list: unknown): readonly AcceptedBreak[] {
  if (!Array.isArray(list)) throw new InvalidOptionError('accepted', list, 'a list of { change, reason, date }');
  return list.map((one: unknown, at) => {
    const { change, reason, date } = isObject(one) ? one : {};
    for (const [name, value] of Object.entries({ change, reason, date }))
      if (typeof value !== 'string' || value.trim() === '')
        throw new InvalidOptionError(`accepted[${at}].${name}`, value, 'a text');
    if (!/^\d{4}-\d\d-\d\d$/.test(date as string) || Number.isNaN(Date.parse(date as string)))
      throw new InvalidOptionError(`accepted[${at}].date`, date, 'a day, such as 2026-11-30');
    return { change, reason, date } as AcceptedBreak;
  });
}

/** The changes, those that were accepted marked with the reason; and what was accepted and has not changed. */
export function withAccepted(
  changes: readonly DocumentChange[],
  accepted: readonly AcceptedBreak[],
): { readonly changes: readonly DocumentChange[]; readonly unused: readonly string[] } {
  const byId = new Map(accepted.map((one) => [one.change, one]));
  const known = new Set(changes.map(({ id }) => id));
  return {
    changes: changes.map((one) => {
      const found = byId.get(one.id);
      return found && one.verdict !== 'ok' ? { ...one, accepted: `${found.reason} (${found.date})` } : one;
    }),
    unused: [...byId.keys()].filter((id) => !known.has(id)),
  };
}
