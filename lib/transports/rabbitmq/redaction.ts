const HIDDEN = '***';

/** A URL, valid or not, without user and password. */
export function redactUrl(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, `$1${HIDDEN}@`);
}

/** Makes a function that takes every spelling of the given secrets, and users named by the broker, out of a text. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  const spellings = new Set<string>();
  for (const secret of secrets) {
    if (secret === '') continue;
    spellings.add(secret);
    spellings.add(encodeURIComponent(secret));
  }
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text.replace(/(amqps?:\/\/)\S*@/g, `$1${HIDDEN}@`).replace(/\buser '[^']*'/g, `user '${HIDDEN}'`);
    for (const secret of longestFirst) clean = clean.replaceAll(secret, HIDDEN);
    return clean;
  };
}
