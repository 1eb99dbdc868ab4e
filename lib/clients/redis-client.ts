/** What a store asks of a client of Redis: one of `ioredis` or `iovalkey`, also of a cluster, that the application has. */
export interface RedisClient {
  /** Runs a script; the keys come first, then the values. */
  eval(script: string, keys: number, ...keysAndValues: (string | number)[]): Promise<unknown>;
}
