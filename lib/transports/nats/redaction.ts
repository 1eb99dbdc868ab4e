const HIDDEN = '***';

/** Makes a function that takes every spelling of the given secrets, and credentials in URLs, out of a text. */
export function redactor(secrets: readonly (string | undefined)[]): (text: string) => string {
  const spellings = new Set<string>();
  for (const secret of secrets) if (secret) spellings.add(secret).add(encodeURIComponent(secret));
  const longestFirst = [...spellings].sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text.replace(/:\/\/[^\s/@]*@/g, `://${HIDDEN}@`);
    for (const secret of longestFirst) clean = clean.replaceAll(secret, HIDDEN);
    return clean;
  };
}
