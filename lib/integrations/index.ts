export { cls, clsHeaders, type ClsLike } from './cls.js';
export { bridgeEvents, type EventBridgeOptions, type EventEmitterLike } from './event-emitter.js';
export { type CqrsPublisherLike, eventsAsMessages, toCommandBus, toEventBus } from './cqrs.js';
export { nestPino, type PinoLoggerLike } from './nest-pino.js';
export { sentry, type SentryLike, type SentryOptions } from './sentry.js';
