/** What a store asks of a client of Redis: one of `ioredis` or `iovalkey`, also of a cluster, that the application has. */
export interface RedisClient {
  /** Runs a script; the keys come first, then the values. */
  eval(script: string, keys: number, ...keysAndValues: (string | number)[]): Promise<unknown>;
}

/** What a store that keeps bytes asks of such a client. */
export interface RedisBytesClient {
  /** Sends a command by its name, in lower case, and answers texts as bytes. */
  callBuffer(command: string, ...values: (string | number | Buffer)[]): Promise<unknown>;
}
