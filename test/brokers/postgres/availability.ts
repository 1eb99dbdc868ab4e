import { announced, type Availability } from '../availability.js';

/** A version of PostgreSQL that the tests of this run may use. */
export interface AvailablePostgres {
  version: string;
  /** The folder to enter by chroot: servers of the tests' own can be started, and given faults. */
  root?: string;
  /** A server that somebody else runs. */
  url?: string;
}

export type PostgresAvailability = Availability<AvailablePostgres>;

export const announcedPostgres = (): PostgresAvailability => announced('postgres', 'PostgreSQL');
