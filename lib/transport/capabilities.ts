/** What core needs to know of a broker to treat it right. Each entry is branched on by core or by a contract case. */
export interface TransportCapabilities {
  /** Messages survive the death of the broker's process. */
  readonly durable: boolean;
  /** The broker says, per publish, that no queue takes the message. */
  readonly unroutable: boolean;
  /** How a handler retry is made: by a copy with our header, or by the broker's own redelivery after a delay. */
  readonly retry: 'copy' | 'redelivery';
  /** `*` and `#` in routes, decided by the broker. */
  readonly wildcards: boolean;
  /** The longest `delay` of a publish or a retry, in milliseconds; 0 where the transport cannot delay. */
  readonly maxDelayMs: number;
  /** The broker counts how often it redelivered a message. */
  readonly deliveryCount: boolean;
  /** How long a delivery stays ours without `extend`, in milliseconds; Infinity where it stays until the connection ends. */
  readonly leaseMs: number;
  /** The largest body in bytes that is sent at all; a larger one is refused before it reaches the broker. */
  readonly maxBytes: number;
}
