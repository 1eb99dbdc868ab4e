import type { SkippedBroker } from '../availability.js';
import { reasonNotSelected } from '../selection.js';
import type { AvailableSqs, SqsAvailability } from './availability.js';
import { type Emulator, emulators, emulatorVersions, installEmulator } from './install.js';

/**
 * Not among TEST_BROKERS → nothing; TEST_SQS_URL (`http://host:port`) → that endpoint alone, with the credentials of the
 * environment; else the emulators of TEST_SQS_VERSIONS (fauxqs), of which each test file starts processes of its own.
 */
export async function provide(): Promise<SqsAvailability> {
  const unwanted = reasonNotSelected('sqs');
  if (unwanted !== undefined) return { available: [], skipped: [{ broker: 'SQS', reason: unwanted }] };
  const url = process.env.TEST_SQS_URL;
  if (url) return { available: [{ title: 'of TEST_SQS_URL', url }], skipped: [] };
  const available: AvailableSqs[] = [];
  const skipped: SkippedBroker[] = [];
  for (const emulator of wantedEmulators()) {
    const title = `${emulator} ${emulatorVersions[emulator]}`;
    try {
      available.push({ title, emulator, packages: await installEmulator(emulator) });
    } catch (error) {
      skipped.push({ broker: `SQS (${title})`, reason: (error as Error).message });
    }
  }
  return { available, skipped };
}

/** `fauxqs` (the default), `moto` or both. */
function wantedEmulators(): readonly Emulator[] {
  const names = (process.env.TEST_SQS_VERSIONS?.trim() || 'fauxqs').split(',').map((name) => name.trim());
  const unknown = names.find((name) => !emulators.some((one) => one === name));
  if (unknown !== undefined) throw new Error(`TEST_SQS_VERSIONS takes ${emulators.join(', ')}; not «${unknown}»`);
  return emulators.filter((one) => names.includes(one));
}
