import { announced, type Availability } from '../availability.js';
import type { Emulator } from './install.js';

/** Something that speaks as SQS and SNS do, for the tests of this run. */
export interface AvailableSqs {
  title: string;
  /** An emulator of this run, and the folder of its packages: processes of the tests' own can be started, and killed. */
  emulator?: Emulator;
  packages?: string;
  /** An endpoint that somebody else runs. */
  url?: string;
}

export type SqsAvailability = Availability<AvailableSqs>;

export const announcedSqs = (): SqsAvailability => announced('sqs', 'SQS');
