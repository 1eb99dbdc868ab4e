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

/** Requests go to their queue by its name, which both sides declare. */
export function askingOptionsOf({ url, askedQueue: queue, askedQueueOptions: queueOptions, sent, prefetch }) {
  const socketOptions = { connectionOptions: { noDelay: true } };
  return { urls: [url], queue, queueOptions, ...sent, prefetchCount: prefetch, socketOptions };
}
