/**
 * Options of a subscription that only one broker has, each under the name of its transport (`Transport.system`). Those of
 * other transports are left alone, so that one subscription can say what it wants on each. Each transport adds its key:
 * `rabbitmq` is there and typed where `nestjs-messaging/rabbitmq` is imported anywhere in a program.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- transports merge their properties into it
export interface BrokerOptions {}
