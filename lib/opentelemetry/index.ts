export { openTelemetry } from './open-telemetry.js';
export { type OpenTelemetryOptions } from './options.js';
export { type DestinationTemplate } from './destination-labels.js';
export { type SemanticConventions } from './naming.js';
