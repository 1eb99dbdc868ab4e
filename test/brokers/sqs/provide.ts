import { reasonNotSelected } from '../selection.js';
import type { SqsAvailability } from './availability.js';
import { emulatorVersion, installEmulator } from './install.js';

/**
 * Not among TEST_BROKERS → nothing; TEST_SQS_URL (`http://host:port`) → that endpoint alone, with the credentials of the
 * environment; else the emulator fauxqs, of which each test file starts a process of its own.
 */
export async function provide(): Promise<SqsAvailability> {
  const unwanted = reasonNotSelected('sqs');
  if (unwanted !== undefined) return nothing(unwanted);
  const url = process.env.TEST_SQS_URL;
  if (url) return { available: [{ title: 'of TEST_SQS_URL', url }], skipped: [] };
  try {
    return { available: [{ title: `fauxqs ${emulatorVersion}`, packages: await installEmulator() }], skipped: [] };
  } catch (error) {
    return nothing((error as Error).message);
  }
}

function nothing(reason: string): SqsAvailability {
  return { available: [], skipped: [{ broker: 'SQS', reason }] };
}
