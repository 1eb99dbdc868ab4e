import { type Backoff, exponential } from '../retry/backoff.js';

/** Numbers of a backoff, as they travel in headers. */
export interface BackoffNumbers {
  readonly type?: 'fixed' | 'exponential';
  readonly initial?: number;
  readonly factor?: number;
  readonly max?: number;
  readonly jitter?: number;
}

/** What the store keeps of a message besides its body and its times. */
export interface RequeueMeta {
  /** Where the message is sent to. */
  readonly subject: string;
  /** The application's own headers. */
  readonly headers: readonly (readonly [name: string, values: readonly string[]])[];
  readonly attempts?: number;
  readonly priority?: number;
  readonly ttl?: number;
  readonly backoff?: BackoffNumbers;
}

const FORMAT = 1;

export function writeMeta(meta: RequeueMeta): string {
  return JSON.stringify({ requeue: FORMAT, ...meta });
}

/** Undefined: the text is not of a requeue service. */
export function readMeta(text: string): RequeueMeta | undefined {
  try {
    const { requeue, ...meta } = JSON.parse(text) as RequeueMeta & { requeue?: unknown };
    return requeue === FORMAT && typeof meta.subject === 'string' && Array.isArray(meta.headers) ? meta : undefined;
  } catch {
    return undefined;
  }
}

/** @throws InvalidOptionError for numbers that make no backoff */
export function backoffOf({ type = 'exponential', initial = 1_000, ...more }: BackoffNumbers = {}): Backoff {
  if (type === 'exponential') return exponential({ initial, max: Math.max(600_000, initial), ...more });
  const { jitter = 0.2 } = more;
  return exponential({ initial, factor: 1, max: Math.ceil(initial * (1 + jitter)), jitter });
}
