import type { SqlParameter } from '../clients/sql-client.js';
import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import type { Headers } from '../message/headers.js';
import type { MessageProperties } from '../message/message.js';
import { Publication } from '../publisher/publication.js';
import type { UnroutablePolicy } from '../publisher/publish-options.js';

/** A message as it is taken to be sent. */
export interface OutboxRow {
  readonly seq: string;
  readonly id: string;
  readonly route: string;
  readonly topic: string | null;
  readonly payload: Buffer;
  readonly headers: string;
  readonly properties: string;
  readonly dedupe_id: string;
  readonly unroutable: UnroutablePolicy;
  readonly expires_at: string | null;
  readonly key: string | null;
  readonly attempts: number;
  readonly ready: boolean;
  /** What is sent of it. */
  publication?: Publication;
}

/** What is added, as the statement takes it. `now`: the time that its `delay` is measured from. */
export function valuesOf(
  { message, to, dedupeId, unroutable, key, expiresAt, dueAt, policy }: Publication,
  now: number,
): SqlParameter[] {
  const due = policy.holdUntil ?? dueAt;
  return [
    message.id,
    message.route,
    to.kind === 'route' ? (to.topic ?? null) : null,
    key ?? null,
    message.body,
    stringifyTagged(message.headers),
    stringifyTagged(message.properties),
    dedupeId,
    unroutable,
    expiresAt === undefined ? null : String(expiresAt),
    String(due === undefined ? 0 : Math.max(0, due - now)),
  ];
}

/** What is sent of it: what `publish` would have sent then. */
export function publicationOf(row: OutboxRow): Publication {
  const { id, route, topic } = row;
  const message = {
    id,
    route,
    body: row.payload,
    headers: parseTagged(row.headers) as Headers,
    properties: parseTagged(row.properties) as MessageProperties,
  };
  const to = { kind: 'route', route, ...(topic !== null && { topic }) } as const;
  return new Publication(to, message, undefined, row.unroutable, false, row.headers.length, undefined, row.dedupe_id);
}
