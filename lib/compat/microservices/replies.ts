import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { errorMessage } from '../../errors/redact.js';
import type { Log } from '../../events/log.js';
import { header, WIRE_VERSION } from '../../message/headers.js';
import { newMessageId } from '../../message/message-id.js';
import type { Serializer } from '../../message/serializer.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { replyBody } from '../../request/reply-body.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { Transport } from '../../transport/transport.js';
import type { Reply } from './packets.js';

/** Before a reply that failed for a passing reason is sent again. */
const AGAIN_MS = 250;
/** Between two looks whether the sender of a request is still there. */
const LOOK_MS = 5_000;
/** How long a reply is tried where the request does not say when its sender gives up. */
const LONGEST_MS = 10_000;

type Failed = Exclude<PublishResult, { readonly status: 'confirmed' }>;

/** Sends the replies to a request that are followed by others; the last one is the answer, and is sent before the ack. */
export class Replies {
  constructor(
    private readonly serializer: Serializer,
    private readonly transport: Transport,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** Resolves when the reply is with the broker, or was given up, which is told; with false where nobody waits for it. It never rejects. */
  async send(context: MessageContext, reply: Reply): Promise<boolean> {
    try {
      const failed = await this.insist(context, reply);
      if (failed) this.tell(context, failed.error.message);
      return failed?.status !== 'unroutable';
    } catch (error) {
      this.tell(context, errorMessage(error));
      return true;
    }
  }

  /** Calls `gone` once nobody waits for replies to a request any more, where the broker tells. Returns what ends the looks. */
  watchSender({ replyTo }: MessageContext, gone: () => void): CancelTimer {
    const path = this.transport.replies!;
    if (!path.awaited) return () => {};
    let cancel: CancelTimer;
    let isOver = false;
    const look = async (): Promise<void> => {
      const isAwaited = await path.awaited!(replyTo!);
      if (isOver) return;
      if (isAwaited === false) gone();
      else plan();
    };
    const plan = (): void => void (cancel = this.clock.after(LOOK_MS, () => void look(), { background: true }));
    plan();
    return () => {
      isOver = true;
      cancel();
    };
  }

  private async insist(context: MessageContext, value: Reply): Promise<Failed | undefined> {
    const { replyTo, route, correlationId, deadline = Infinity } = context;
    const { clock, serializer } = this;
    const time = clock.now();
    const id = newMessageId(time);
    const correlated = correlationId === undefined ? {} : { correlationId };
    const { body, contentType, headers } = replyBody({ value }, serializer, {
      id,
      route,
      time,
      headers: {},
      ...correlated,
    });
    const message = {
      ...{ id, route, body },
      headers: { ...headers, [header.time]: time, [header.version]: WIRE_VERSION },
      properties: { ...correlated, ...(contentType !== undefined && { contentType }) },
    };
    const until = Math.min(deadline, time + LONGEST_MS);
    for (;;) {
      const result = await this.transport.replies!.reply(replyTo!, message);
      if (result.status === 'confirmed') return undefined;
      if (result.status !== 'failed' || context.aborted !== undefined || clock.now() + AGAIN_MS >= until) return result;
      await sleep(clock, AGAIN_MS);
    }
  }

  private tell({ route }: MessageContext, problem: string): void {
    this.log.warn(`One of several replies to «${route}» could not be sent: ${problem}`);
  }
}
