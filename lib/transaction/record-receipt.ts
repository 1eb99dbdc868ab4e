import type { Receipt, Settlement } from '../publisher/receipt.js';

/** Its message waits in the record of its transaction. */
export class RecordReceipt implements Receipt {
  readonly outcome = 'queued';
  readonly stored = 'record';

  constructor(
    readonly id: string,
    readonly settled: Promise<Settlement>,
  ) {}
}
