import type { ContractNeed } from '../transport-harness.js';
import type { TestBed } from './test-bed.js';

/** A case before it meets a harness. */
export interface CaseDefinition {
  readonly name: string;
  readonly needs?: readonly ContractNeed[];
  readonly run: (bed: TestBed) => Promise<void>;
}
