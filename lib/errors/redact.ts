/** The pattern begins at the «://», so that its cost grows with the length of the text, whatever the text is. */
const CREDENTIALS = /:\/\/[^\s/?#"'<>]*@/g;

/** The text with the user and password of every URL in it replaced by `***`. */
export function redactCredentials(text: string): string {
  return text.includes('://') ? text.replace(CREDENTIALS, '://***@') : text;
}

/** What an unknown thrown value says, without credentials. It never throws, whatever was thrown. */
export function errorMessage(error: unknown): string {
  try {
    return redactCredentials(String(error instanceof Error ? error.message || error.name : error));
  } catch {
    return 'a thrown value that has no text';
  }
}
