import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { ERROR_HEADER, SERVICE_ERROR_CODE_HEADER, SERVICE_ERROR_HEADER } from './requeue-headers.js';

/** Why a message was not acknowledged. */
export interface DeliveryFailure {
  readonly kind: 'no-responders' | 'timeout' | 'error-reply';
  readonly code: string;
  readonly message: string;
}

export const NO_REPLY: DeliveryFailure = {
  kind: 'timeout',
  code: 'timeout',
  message: 'The subscriber did not reply in time',
};

const NO_RESPONDERS: DeliveryFailure = {
  kind: 'no-responders',
  code: 'no-responders',
  message: 'Nobody subscribes to the subject',
};

const MAX_TEXT = 500;

/** What a reply says against the message; undefined: it is an acknowledgement. */
export function failureOf(reply: Msg): DeliveryFailure | undefined {
  const { headers } = reply;
  if (!headers) return undefined;
  if (headers.code === 503 && reply.data.length === 0) return NO_RESPONDERS;
  const code =
    first(headers, SERVICE_ERROR_CODE_HEADER) ||
    first(headers, ERROR_HEADER) ||
    (headers.hasError ? `${headers.code}` : '');
  const message = first(headers, SERVICE_ERROR_HEADER) || headers.description;
  if (!code && !first(headers, SERVICE_ERROR_HEADER)) return undefined;
  return { kind: 'error-reply', code: code || 'error', message: message || 'The subscriber replied with an error' };
}

function first(headers: MsgHdrs, name: string): string {
  return headers.get(name).slice(0, MAX_TEXT);
}
