/** The transports of this package, by their folders: a subscription may hold options for each, whichever it runs on. */
export const TRANSPORT_NAMES = ['kafka', 'memory', 'nats', 'postgres', 'rabbitmq', 'redis', 'sqs'] as const;
