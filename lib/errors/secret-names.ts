import { editsBetween } from './did-you-mean.js';

/** A value under such a name is never told, whatever it is. */
const SECRET = ['password', 'passphrase', 'passwd', 'secret', 'token', 'credential', 'credentials'];
/** What can hold a secret among other things: a URL has a password in it. */
const MAY_HOLD = /pass|pw|secret|token|key|cred|auth|user|login|ur[il]|dsn|server|address|host|cert|jwt|seed/i;

/** Whether a name says that its value is a secret, misspelt or not. */
export function isSecretName(name: string): boolean {
  const text = name.toLowerCase();
  return SECRET.some((secret) => text.includes(secret) || editsBetween(text, secret) <= secret.length / 4);
}

/** Whether a text under such a name can hold a secret. */
export function mayHoldSecret(name: string): boolean {
  return MAY_HOLD.test(name) || isSecretName(name);
}
