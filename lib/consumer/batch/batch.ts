import type { BatchContext } from '../../pipeline/batch-context.js';
import type { MessageContext } from '../../pipeline/message-context.js';

/** What a batch needs to know of the deliveries in it. */
interface Member {
  readonly context: MessageContext;
  /** The batch that the delivery is in. */
  batch?: unknown;
}

/** A caller that waits for the result of one entry, because there is something around its handling. */
export interface Reply {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Deliveries that are handled by one call. */
export class Batch<M extends Member> {
  /** The withdrawn ones included, until the batch is sealed. */
  members: M[] = [];
  /** How many members were not withdrawn. */
  live = 0;
  /** Once the batch is handled. */
  context: BatchContext | undefined;
  /** The call ran on past its timeout: its slot has an end of its own. */
  overdue = false;
  private replies: (Reply | undefined)[] = [];

  add(member: M, reply: Reply | undefined): void {
    member.batch = this;
    this.members.push(member);
    if (reply) this.replies[this.members.length - 1] = reply;
    this.live++;
  }

  /** Leaves out the members that were withdrawn, for good: results are by place. */
  seal(): void {
    if (this.live === this.members.length) return;
    const { members, replies } = this;
    this.members = members.filter((member) => member.batch === this);
    this.replies = members.flatMap((member, at) => (member.batch === this ? [replies[at]] : []));
  }

  replyAt(at: number): Reply | undefined {
    return this.replies[at];
  }

  /** A delivery is not ours any more. */
  withdraw(member: M): Reply | undefined {
    member.batch = undefined;
    this.live--;
    return this.replies.length === 0 ? undefined : this.replies[this.members.indexOf(member)];
  }

  /** The first member, as a batch of its own. */
  splitFirst(): Batch<M> {
    this.seal();
    const first = new Batch<M>();
    const [reply] = this.replies.splice(0, 1);
    const [member] = this.members.splice(0, 1);
    this.live--;
    first.add(member, reply);
    return first;
  }
}
