/** An answer that says no. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: Record<string, unknown>,
  ) {
    super(message);
  }
}

/** Asks the API, relative to where the page is. @throws Refused */
export async function get<T>(path: string): Promise<T> {
  return (await answered(await fetch(`api/v1/${path}`))) as T;
}

/** Acts. @throws Refused */
export async function act<T>(method: 'POST' | 'DELETE', path: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json', 'x-nestjs-messaging': '1' };
  return (await answered(await fetch(path, { method, headers, body: JSON.stringify(body) }))) as T;
}

async function answered(response: Response): Promise<unknown> {
  // The session is over: the page is that of the login now.
  if (response.status === 401 && document.querySelector('nav')) location.reload();
  if (response.status === 204) return undefined;
  const value = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.ok) return value;
  const text = typeof value.error === 'string' ? value.error : `The answer was ${response.status}`;
  throw new Refused(response.status, text, value);
}
