export { Decoded, type DecodedFields } from '../message/decoded.js';
export {
  type DescribedBody,
  type DeserializeContext,
  type Reply,
  type ReplySerializer,
  type SerializeContext,
  type SerializedPayload,
  type Serializer,
} from '../message/serializer.js';
export { type CloudEvent } from '../message/cloud-event.js';
export {
  type CloudEventAttributes,
  cloudEvents,
  type CloudEventsOptions,
  type CloudEventsSerializer,
} from './cloud-events.js';
export { json, type JsonOptions } from './json.js';
export { nestEnvelope, type NestEnvelopeOptions } from './nest-envelope.js';
