import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween, oneOf } from '../../errors/option-checks.js';
import type { Address } from './connection/address.js';
import { checkOptions, type NatsOptions } from './options.js';

/** Options of a store in NATS 2.9 or later, with JetStream. */
export interface NatsStoreOptions extends Pick<NatsOptions, 'servers' | 'credentials' | 'options' | 'client'> {
  /** The bucket, made when missing: the stream `KV_<bucket>`. Letters, digits, `-` and `_`. Default `messaging-coordination`. */
  readonly bucket?: string;
  /** Copies of a new bucket in a cluster, 1 to 5. Default 1. */
  readonly replicas?: number;
  /** Where a new bucket is kept. Default `file`; `memory` does not survive the server. */
  readonly storage?: 'file' | 'memory';
  /** Milliseconds that a call may wait for the server before it fails. Default 5,000. */
  readonly waitTimeout?: number;
}

/** Where a bucket is, and how it is made. */
export interface BucketPlace {
  readonly address: Address;
  readonly bucket: string;
  readonly replicas: number;
  readonly storage: 'file' | 'memory';
  readonly waitMs: number;
}

/** The options of a store, checked; `store` is what it is called. @throws InvalidOptionError */
export function bucketPlace(store: string, options: NatsStoreOptions, defaultBucket: string): BucketPlace {
  knownKeys(store, options, ['servers', 'credentials', 'options', 'client', 'bucket', 'replicas', 'storage', 'waitTimeout']); // prettier-ignore
  const { bucket = defaultBucket, replicas = 1, storage = 'file', waitTimeout = 5_000, ...connection } = options;
  if (typeof bucket !== 'string' || !/^[\w-]{1,100}$/.test(bucket))
    throw new InvalidOptionError(`${store}.bucket`, bucket, 'up to 100 letters, digits, «-» and «_»');
  return {
    address: checkOptions(connection).address,
    bucket,
    replicas: integerBetween(`${store}.replicas`, replicas, 1, 5),
    storage: oneOf(`${store}.storage`, storage, ['file', 'memory']),
    waitMs: numberBetween(`${store}.waitTimeout`, waitTimeout, 100, 60_000),
  };
}
