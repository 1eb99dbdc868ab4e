import { describe, expect, test } from '@jest/globals';
import { attribute, metric, type Metric, requeueMetric } from '../../lib/opentelemetry/conventions.js';
import { MAX_DESTINATIONS } from '../../lib/opentelemetry/destination-labels.js';
import { TELEMETRY_NAMES } from '../../lib/transports/rabbitmq/telemetry-names.js';
import { code, Markdown } from './markdown.js';

const page = Markdown.read('docs/opentelemetry.md');

describe('docs/opentelemetry.md', () => {
  test('has the guarantee in its first sentence', () => {
    const [, first] = page.text.split('\n\n');
    expect(first).toMatch(/^A message keeps the trace context it was published with/);
  });

  test.each<[string, Record<string, Metric>]>([
    ['Metrics', metric],
    ['Requeue service', requeueMetric],
  ])('its table «%s» is that of the code', (title, metrics) => {
    const documented = page
      .section(title)
      .table()
      .map((row) => ({ name: code(row.metric), instrument: row.instrument, unit: code(row.unit) }));
    expect(documented).toEqual(
      Object.values(metrics).map(({ name, instrument, unit }) => ({ name, instrument, unit })),
    );
  });

  test('its attributes are those of the code', () => {
    const documented = page
      .section('Attributes')
      .table()
      .map((row) => code(row.attribute));
    const all = [...Object.values(attribute), ...Object.values(TELEMETRY_NAMES.routingKey)];
    expect(documented.sort()).toEqual(all.sort());
  });

  test('its limit is that of the code', () => {
    expect(page.section('Limits').text).toContain(`the first ${MAX_DESTINATIONS.toLocaleString('en')} destinations`);
  });
});
