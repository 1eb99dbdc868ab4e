import { announced, type Availability } from '../availability.js';

/** A version of Redis, or of Valkey, that the tests of this run may use. */
export interface AvailableRedis {
  /** `Redis` or `Valkey`. */
  title: string;
  version: string;
  /** The folder to enter by chroot, and the program in it: servers of the tests' own can be started, and given faults. */
  root?: string;
  program?: string;
  /** The library with which the clocks of its servers can be stepped. */
  faketime?: string;
  /** A server that somebody else runs. */
  url?: string;
}

export type RedisAvailability = Availability<AvailableRedis>;

export const announcedRedis = (): RedisAvailability => announced('redis', 'Redis');
