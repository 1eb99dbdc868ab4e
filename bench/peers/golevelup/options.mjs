/** The queue and its binding are there already, with the package's arguments. */
export function optionsOf({ url, exchange, prefetch }) {
  return {
    uri: url,
    prefetchCount: prefetch,
    exchanges: [{ name: exchange, type: 'topic', createExchangeIfNotExists: false }],
    connectionInitOptions: { wait: true },
    connectionManagerOptions: { connectionOptions: { noDelay: true } },
    logger: { log() {}, verbose() {}, debug() {}, warn: console.error, error: console.error },
  };
}
