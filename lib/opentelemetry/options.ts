import type { Meter, TextMapPropagator, Tracer } from '@opentelemetry/api';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys } from '../errors/option-checks.js';
import type { DestinationTemplate } from './destination-labels.js';
import { SEMANTIC_CONVENTIONS, type SemanticConventions } from './naming.js';

/** Options of `openTelemetry()`. */
export interface OpenTelemetryOptions {
  /** Makes the spans. Default: that of the globally registered provider. */
  readonly tracer?: Tracer;
  /** Makes the metrics. Default: that of the provider that is globally registered when the application starts. */
  readonly meter?: Meter;
  /** How a context travels in headers. Default: the globally registered one. */
  readonly propagator?: TextMapPropagator;
  /**
   * For routes with ids in them: what stands for a route in metrics and names of spans (`user.*.renamed`); undefined for
   * one that stands for itself. Default: every route stands for itself, up to 1,000 of them.
   */
  readonly destinationTemplate?: DestinationTemplate;
  /**
   * The version of OpenTelemetry's semantic conventions that names follow. Default `'1.28'`. With `'1.45'` the system is
   * `messaging.system.name`, and on RabbitMQ the routing key is `rabbitmq.destination.routing_key` and a destination's
   * name begins with its exchange.
   */
  readonly semanticConventions?: SemanticConventions;
}

/** @throws InvalidOptionError */
export function checkOpenTelemetryOptions(options: OpenTelemetryOptions): OpenTelemetryOptions {
  knownKeys('openTelemetry', options, ['tracer', 'meter', 'propagator', 'destinationTemplate', 'semanticConventions']);
  const { tracer, meter, propagator, destinationTemplate, semanticConventions } = options;
  needs('tracer', tracer, ['startSpan'], 'a Tracer of @opentelemetry/api');
  needs('meter', meter, ['createHistogram', 'addBatchObservableCallback'], 'a Meter of @opentelemetry/api');
  needs('propagator', propagator, ['inject', 'extract'], 'a TextMapPropagator of @opentelemetry/api');
  if (destinationTemplate !== undefined && typeof destinationTemplate !== 'function')
    throw new InvalidOptionError('openTelemetry.destinationTemplate', destinationTemplate, 'a function');
  if (semanticConventions !== undefined && !SEMANTIC_CONVENTIONS.includes(semanticConventions))
    throw new InvalidOptionError(
      'openTelemetry.semanticConventions',
      semanticConventions,
      SEMANTIC_CONVENTIONS.map((version) => `'${version}'`).join(' or '),
    );
  return options;
}

function needs(option: string, value: object | undefined, methods: readonly string[], allowed: string): void {
  if (value === undefined) return;
  const object = value as Record<string, unknown> | null;
  if (typeof object !== 'object' || object === null || methods.some((name) => typeof object[name] !== 'function'))
    throw new InvalidOptionError(`openTelemetry.${option}`, value, allowed);
}
