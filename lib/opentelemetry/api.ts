import type * as Api from '@opentelemetry/api';
import { loadPeer } from '../errors/optional-peer.js';

/** What is used of OpenTelemetry's API. */
export type OpenTelemetryApi = Pick<
  typeof Api,
  | 'ROOT_CONTEXT'
  | 'SpanKind'
  | 'SpanStatusCode'
  | 'context'
  | 'diag'
  | 'isSpanContextValid'
  | 'metrics'
  | 'propagation'
  | 'trace'
>;

/** The name of our tracer and meter. */
export const SCOPE = 'nestjs-messaging';

/** The only place that loads the API, when a connection starts: it is an optional peer. @throws MissingPeerError */
export async function loadApi(): Promise<OpenTelemetryApi> {
  const loaded = (await loadPeer(
    { name: '@opentelemetry/api', range: '^1.9', neededBy: 'openTelemetry()' },
    () => import('@opentelemetry/api'),
  )) as unknown as Partial<OpenTelemetryApi> & { readonly default: OpenTelemetryApi };
  // A CommonJS module can hide behind `default` where it is imported as an ES module; its own `default` has not all of it.
  return 'ROOT_CONTEXT' in loaded ? (loaded as OpenTelemetryApi) : loaded.default;
}
