const CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'<>]*@/gi;

/** The text with the user and password of every URL in it replaced by `***`. */
export function redactCredentials(text: string): string {
  return text.includes('://') ? text.replace(CREDENTIALS, '$1***@') : text;
}

/** What an unknown thrown value says, without credentials. */
export function errorMessage(error: unknown): string {
  return redactCredentials(error instanceof Error ? error.message || error.name : String(error));
}
