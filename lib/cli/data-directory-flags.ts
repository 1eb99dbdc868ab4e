import type { Flag, FlagValues } from './flags.js';
import { textOf, UsageError } from './flags.js';

export const DATA_DIR: Flag = { name: 'data-dir', value: 'folder', what: 'folder of the store; required' };
export const QUEUE: Flag = { name: 'queue', value: 'name', what: 'this queue only' };

/** @throws UsageError */
export function dataDirectory(values: FlagValues): string {
  const path = textOf(values, 'data-dir');
  if (path === undefined || path === '') throw new UsageError('--data-dir is required');
  return path;
}
