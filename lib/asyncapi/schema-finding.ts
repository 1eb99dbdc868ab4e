/** `unread` and `unwritten`: a property that only one side knows, which breaks nothing by itself. */
export type Verdict = 'breaks' | 'unknown' | 'unread' | 'unwritten';

export interface SchemaFinding {
  readonly verdict: Verdict;
  /** `/lines/items/price`. */
  readonly path: string;
  readonly text: string;
}
