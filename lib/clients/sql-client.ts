/** What a statement may be given: each client passes these as they are. JSON is given as text. */
export type SqlParameter = string | number | boolean | null | Buffer | readonly string[] | readonly Buffer[];

/** A row by the names of its columns. What is no text, number of 32 bits, boolean or bytes is cast to text in the statement. */
export type SqlRecord = Readonly<Record<string, unknown>>;

/** All that this package needs of a client of PostgreSQL, or of a transaction of one: one statement, its values and its rows. */
export interface SqlClient {
  /** `text` has `$1`, `$2`, … for the values. */
  query(text: string, values: readonly SqlParameter[]): Promise<readonly SqlRecord[]>;
}
