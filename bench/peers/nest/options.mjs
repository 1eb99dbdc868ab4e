/** With `wildcards` it uses a topic exchange and the pattern as the route; the queue is there already. */
export function optionsOf({ url, exchange, queue, prefetch }) {
  return {
    urls: [url],
    exchange,
    exchangeType: 'topic',
    wildcards: true,
    queue,
    noAssert: true,
    persistent: true,
    prefetchCount: prefetch,
    socketOptions: { connectionOptions: { noDelay: true } },
  };
}
