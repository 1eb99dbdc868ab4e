/** What OpenTelemetry's conventions have for one broker alone, by their version. */
export interface TelemetryNames {
  /** The attribute of a message's routing key. */
  readonly routingKey: { readonly '1.28': string; readonly '1.45': string };
  /** Since 1.45 the topic stands in front of a destination's name; this stands for a destination without either. */
  readonly nameless: string;
}
