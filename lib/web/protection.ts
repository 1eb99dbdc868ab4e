import { InvalidOptionError } from '../errors/configuration-errors.js';

/** What keeps strangers out of pages. */
export interface Protection {
  readonly token?: string;
  readonly insecure?: boolean;
}

/** Characters of a secret. */
export const MIN_TOKEN = 32;
const PATH = /^(\/[\w.~-]+)+$/;

/** `of` is the name of the options in errors. @throws InvalidOptionError */
export function checkPath(of: string, path: unknown, fallback: string): string {
  const given = path === undefined ? fallback : path;
  const text = typeof given === 'string' && !given.startsWith('/') ? `/${given}` : given;
  if (typeof text !== 'string' || !PATH.test(text))
    throw new InvalidOptionError(`${of}.path`, path, `a path of plain names, such as ${fallback}`);
  return text;
}

/**
 * Exactly one of guards, a token, and `insecure`. `guarded` is undefined where there can be no guards; `why`: what whoever
 * comes in can do. @throws InvalidOptionError
 */
export function checkProtection(
  of: string,
  { token, insecure }: Protection,
  guarded: boolean | undefined,
  why: string,
): void {
  const guards = guarded === undefined ? '' : 'guards: [AdminGuard], or ';
  const ways = [guarded === true, token !== undefined, insecure === true].filter(Boolean).length;
  if (insecure !== undefined && typeof insecure !== 'boolean')
    throw new InvalidOptionError(`${of}.insecure`, insecure, 'true or false');
  if (ways === 0)
    throw new InvalidOptionError(
      guarded === undefined ? `${of}.token` : `${of}.guards`,
      undefined,
      `${guards}token: a secret of ${MIN_TOKEN} characters or more: ${why}. For development: insecure: true`,
    );
  if (ways > 1)
    throw new InvalidOptionError(of, 'given more than one protection', `one of them: ${guards}token or insecure`);
  if (token !== undefined && (typeof token !== 'string' || token.length < MIN_TOKEN))
    throw new InvalidOptionError(
      `${of}.token`,
      `a text of ${String(token).length} characters`,
      `${MIN_TOKEN} characters or more, as \`openssl rand -base64 32\` makes them`,
    );
  if (insecure === true && process.env.NODE_ENV === 'production')
    throw new InvalidOptionError(`${of}.insecure`, true, `${guards}token where NODE_ENV is production`);
}
