export { type TransportCapabilities } from '../../transport/capabilities.js';
export { type Delivery } from '../../transport/delivery.js';
export { CONFIRMED, type Destination, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
export { type ListedQueue, type QueueList, type QueueScope } from '../../transport/queue-list.js';
export { type Browser, type QueueOperations } from '../../transport/queue-operations.js';
export { type TelemetryNames } from '../../transport/telemetry-names.js';
export { compilePattern, hasWildcard, type PatternMatcher, wordsOf } from '../../transport/topic-pattern.js';
export {
  membersQueue,
  type Partitioning,
  partitionQueue,
  type QueueSplit,
  type Topology,
  type Wait,
} from '../../transport/topology.js';
export {
  type PublishDone,
  type ReconnectPolicy,
  type SubscribeHandlers,
  type SubscribeOptions,
  type Transport,
  type TransportEnvironment,
  type TransportEvent,
  type TransportFactory,
  type TransportSubscription,
} from '../../transport/transport.js';
export { unsendable } from '../../message/header-values.js';
export { pauseAfter, RETRY_MS, Undeliverable } from '../../transport/undeliverable.js';

export { type ReplyHandlers, type ReplyPath } from '../../transport/reply-path.js';
export { answered, type AnswerTimeout } from '../../clock/answered.js';
export { type AskedOn, BrokerTransport } from './broker-transport.js';
export { type Batch, type BatchedSending, type BatchingOptions, BatchingPublisher } from './batching-publisher.js';
export { ClaimingBrowser } from './claiming-browser.js';
export {
  type ClaimAck,
  type Claimed,
  type ClaimingOptions,
  ClaimingSession,
  type ClaimRelease,
} from './claiming-session.js';
export {
  delayedTooLong,
  type EnvelopeField,
  type EnvelopeWriter,
  type FoundProperties,
  keptRoute,
  readProperties,
  routeOf,
  shorterErrors,
  tooLarge,
  typeOf,
  unroutable,
  unspeakable,
  writeEnvelope,
} from './envelope.js';
export { Forwarder } from './forwarder.js';
export { type JsonHead, readJsonHead, topicOf, writeJsonHead } from './json-head.js';
export { Limited } from './limited.js';
export { OffsetWindow } from './offset-window.js';
export { percentDecoded, redactor, redactUrl } from './redactor.js';
export { Renewal } from './renewal.js';
export { type AddressEvents, ReplyInbox } from './reply-inbox.js';
export { ClaimedOnce, type Claimer, SettledOnce, type Settler, UnansweredOnce } from './settled-once.js';
export {
  type Attachment,
  type LinkParts,
  type LinkPublisher,
  type OwnParts,
  type QueueMaker,
  SingleConnectionTransport,
} from './single-connection-transport.js';
export { type ConsumerPlan, Subscriptions, type SubscriptionsParts } from './subscriptions.js';
export {
  type ConnectionListeners,
  type Dialer,
  type LinkEvents,
  SupervisedConnection,
} from './supervised-connection.js';
export { type ConsumerSession, SupervisedConsumer, type SupervisedConsumerOptions } from './supervised-consumer.js';
export {
  BROKERS_OWN,
  type HeaderTypes,
  parseTypes,
  putHeader,
  ReservedNames,
  TextHeaders,
  TYPES_HEADER,
} from './text-values.js';
