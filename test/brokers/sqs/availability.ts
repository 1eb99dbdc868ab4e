import { announced, type Availability } from '../availability.js';

/** Something that speaks as SQS and SNS do, for the tests of this run. */
export interface AvailableSqs {
  title: string;
  /** Packages of the emulator: processes of the tests' own can be started, and killed. */
  packages?: string;
  /** An endpoint that somebody else runs. */
  url?: string;
}

export type SqsAvailability = Availability<AvailableSqs>;

export const announcedSqs = (): SqsAvailability => announced('sqs', 'SQS');
