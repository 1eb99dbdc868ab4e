/** What a failure is called in events and log lines. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
