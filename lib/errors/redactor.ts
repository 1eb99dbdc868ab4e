const HIDDEN = '***';

/** Makes a function that takes every spelling of the given secrets, credentials in URLs and named users out of a text. */
export function redactor(secrets: readonly (string | undefined)[]): (text: string) => string {
  const spellings = new Set<string>();
  for (const secret of secrets) if (secret) spellings.add(secret).add(encodeURIComponent(secret));
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text.includes('@') ? text.replace(/:\/\/\S*@/g, `://${HIDDEN}@`) : text;
    clean = clean.replace(/\buser '[^']*'/g, `user '${HIDDEN}'`);
    for (const secret of longestFirst) clean = clean.replaceAll(secret, HIDDEN);
    return clean;
  };
}

/** A URL, valid or not, without user and password. */
export function redactUrl(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, `$1${HIDDEN}@`);
}

/** Percent-decoded; as it is when it holds a stray `%`. */
export function percentDecoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
