import type { Msg, Subscription } from '@nats-io/transport-node';
import type { SteadyTime } from '../clock/steady-time.js';
import type { DurableQueue } from '../durable-queue/durable-queue.js';
import type { NewQueueEntry, QueueEntry } from '../durable-queue/queue-entry.js';
import { errorMessage } from '../errors/redact.js';
import { newMessageId } from '../message/message-id.js';
import type { RequeueLink } from './link.js';
import { outgoingHeaderBytes } from './outgoing-headers.js';
import { REFUSALS, RequeueRefusedError } from './refusal.js';
import { ERROR_HEADER, SERVICE_ERROR_CODE_HEADER, SERVICE_ERROR_HEADER } from './requeue-headers.js';
import { type RequeueMeta, writeMeta } from './requeue-meta.js';
import { hasRequeueHeader, OWN_QUEUE_PREFIX, parseRequest, type RequeueRequest } from './request-parser.js';
import type { RequeueCounters } from './statistics.js';
import type { IngressSubject } from './subject.js';

/** Where malformed messages are kept as dead letters. */
export const REFUSED_QUEUE = `${OWN_QUEUE_PREFIX}refused`;

/** Queues there can be; a queue is whatever a sender writes in a header. */
export const MAX_QUEUES = 1_000;
/** Malformed messages that are kept at most; beyond, they are answered and counted only. */
const MAX_KEPT = 1_000;
const MAX_KEPT_BYTES = 64 * 2 ** 20;
/** Messages that are being written; beyond, the disk is slower than the senders. */
const MAX_WRITING = 20_000;
const MAX_WRITING_BYTES = 128 * 2 ** 20;
/** The server's own limit, before it has said so. */
const DEFAULT_MAX_PAYLOAD = 2 ** 20;

const encoder = new TextEncoder();

export interface IngressParts {
  readonly queue: DurableQueue;
  readonly counters: RequeueCounters;
  readonly time: SteadyTime;
  /** A message is on the disk, and its sender was told. */
  stored(entry: QueueEntry): void;
  /** For the log; not more often than it can bear. */
  refused(error: RequeueRefusedError, subject: string): void;
  /** The server does not let this service listen. */
  forbidden(error: Error): void;
}

export interface IngressLimits {
  readonly subject: IngressSubject;
  readonly group: string;
  /** Answered by somebody else, when it asks for statistics. */
  readonly statsSubject: string;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** Takes messages: each is written to the disk, and only then acknowledged; one that cannot be taken is answered with why. */
export class Ingress {
  private subscription: Subscription | undefined;
  private writing = 0;
  private writingBytes = 0;
  private keptBytes = 0;
  /** Why nothing is received although there is a connection. */
  fault: string | undefined;

  constructor(
    private readonly parts: IngressParts,
    private readonly limits: IngressLimits,
  ) {}

  up(link: RequeueLink): void {
    this.fault = undefined;
    this.subscription = link.connection.subscribe(this.limits.subject.pattern, {
      queue: this.limits.group,
      callback: (error, message) => (error ? this.forbidden(error) : this.receive(message, link)),
    });
  }

  /** Receives nothing more than what the server has sent before. */
  async drain(): Promise<void> {
    if (!this.subscription || this.subscription.isClosed()) return;
    await this.subscription.drain().catch(() => undefined);
  }

  private forbidden(error: Error): void {
    this.fault = `nothing is received: ${errorMessage(error)}`;
    this.parts.forbidden(error);
  }

  private receive(message: Msg, link: RequeueLink): void {
    try {
      if (message.subject === this.limits.statsSubject && isStatsRequest(message)) return;
      const request = parseRequest(message.subject, message.headers, this.limits.subject);
      this.checkRoom(request, message.data.length, link);
      this.store(message, request, link);
    } catch (error) {
      this.refuse(message, refusal(error), link);
    }
  }

  private checkRoom({ id, queue, meta }: RequeueRequest, bytes: number, { connection }: RequeueLink): void {
    const most = connection.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
    const outgoing = bytes + outgoingHeaderBytes(id ?? NIL_ID, queue, meta);
    if (outgoing > most)
      throw new RequeueRefusedError(
        'too-large',
        `With its headers it has ${outgoing} bytes on its way out; the server takes ${most}`,
      );
    const { depth, dead, bytes: waiting } = this.parts.queue.totals(queue);
    const { maxMessages, maxBytes } = this.limits;
    if (depth + dead >= maxMessages)
      throw new RequeueRefusedError(
        'queue-full',
        `The queue «${queue}» holds ${depth} messages and ${dead} dead letters; at most ${maxMessages}`,
      );
    if (waiting + bytes > maxBytes)
      throw new RequeueRefusedError('queue-full', `The queue «${queue}» holds ${waiting} bytes; at most ${maxBytes}`);
    if (depth + dead === 0 && this.parts.queue.queues.length >= MAX_QUEUES)
      throw new RequeueRefusedError('too-many-queues', `There are ${MAX_QUEUES} queues`);
    if (this.writing >= MAX_WRITING || this.writingBytes + bytes > MAX_WRITING_BYTES)
      throw new RequeueRefusedError('overloaded', 'More messages are being written than the disk can take; try again');
  }

  private store(message: Msg, request: RequeueRequest, link: RequeueLink): void {
    const { queue, time, counters } = this.parts;
    const now = time.now();
    const id = request.id ?? newMessageId(now);
    const bytes = message.data.length;
    this.writing++;
    this.writingBytes += bytes;
    const entry = queue.append(newEntry(request, id, message.data, now), (error) => {
      this.writing--;
      this.writingBytes -= bytes;
      if (error) return this.refuse(message, new RequeueRefusedError('store-failed', error.message), link);
      counters.of(request.queue).accepted++;
      reply(message, `{"id":${JSON.stringify(id)},"queue":${JSON.stringify(request.queue)}}`);
      this.parts.stored(entry);
    });
  }

  private refuse(message: Msg, error: RequeueRefusedError, link: RequeueLink): void {
    this.parts.counters.refuse(error.refusal);
    if (!error.retryable) this.keep(message, error);
    const { status } = REFUSALS[error.refusal];
    const headers = link.newHeaders();
    headers.set(ERROR_HEADER, error.refusal);
    headers.set(SERVICE_ERROR_CODE_HEADER, String(status));
    headers.set(SERVICE_ERROR_HEADER, oneLine(error.message));
    reply(message, JSON.stringify({ error: { code: error.refusal, reason: error.message } }), headers);
    this.parts.refused(error, message.subject);
  }

  /** What can never be taken is kept as a dead letter: its sender may not wait for the reply. */
  private keep(message: Msg, { refusal: code, message: reason }: RequeueRefusedError): void {
    const { queue, time } = this.parts;
    const bytes = message.data.length;
    if (bytes === 0 || queue.totals(REFUSED_QUEUE).dead >= MAX_KEPT || this.keptBytes + bytes > MAX_KEPT_BYTES) return;
    this.keptBytes += bytes;
    const now = time.now();
    const meta: RequeueMeta = { subject: message.subject, headers: rawHeaders(message) };
    const request: RequeueRequest = {
      queue: REFUSED_QUEUE,
      id: undefined,
      priority: 0,
      delay: 0,
      ttl: undefined,
      meta,
    };
    const entry = queue.append(newEntry(request, newMessageId(now), message.data, now), () => undefined);
    queue.bury(entry, { reason: 'refused', errorClass: '', errorCode: code, errorMessage: reason, time: now });
  }
}

/** On the stats subject, a message without a body and without headers of ours asks for statistics. */
export function isStatsRequest(message: Msg): boolean {
  return message.data.length === 0 && !hasRequeueHeader(message.headers);
}

const NIL_ID = '00000000-0000-0000-0000-000000000000';

/** A message as it is stored. Its bytes are copied: those of the client belong to a larger piece that would stay in memory. */
export function newEntry(request: RequeueRequest, id: string, body: Uint8Array, now: number): NewQueueEntry {
  const { queue, priority, delay, ttl, meta } = request;
  return {
    queue,
    id,
    lane: undefined,
    priority,
    dueAt: now + delay,
    expiresAt: ttl === undefined ? undefined : now + ttl,
    queuedAt: now,
    attempts: 0,
    returns: 0,
    bytes: body.length,
    meta: writeMeta(meta),
    body: Buffer.from(body),
  };
}

function refusal(error: unknown): RequeueRefusedError {
  if (error instanceof RequeueRefusedError) return error;
  // The client throws for names of headers that are not allowed.
  return new RequeueRefusedError('invalid-header', errorMessage(error));
}

function rawHeaders(message: Msg): RequeueMeta['headers'] {
  try {
    const { headers } = message;
    return headers ? headers.keys().map((name) => [name, headers.values(name)] as const) : [];
  } catch {
    return [];
  }
}

function reply(message: Msg, text: string, headers?: ReturnType<RequeueLink['newHeaders']>): void {
  try {
    message.respond(encoder.encode(text), headers && { headers });
  } catch {
    // The connection is gone: the sender gets no reply and sends it again.
  }
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}
