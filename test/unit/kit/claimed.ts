import { CONFIRMED, type PublishResult } from '../../../lib/transport/outgoing.js';
import { ClaimedOnce, type Claimer } from '../../../lib/transports/kit/settled-once.js';

/** A message that is lent, by the name of its id. */
export class ScriptedClaim extends ClaimedOnce<string, Claimer<ScriptedClaim>> {
  constructor(id: string, settler: Claimer<ScriptedClaim>, count = 0) {
    super({ id } as never, 'q', true, undefined, count, id, settler);
  }

  get raw(): string {
    return this.received;
  }
}

/** Says what became of a move. */
export class Mover {
  readonly moved: string[] = [];
  result: PublishResult = CONFIRMED;

  async move({ raw }: ScriptedClaim): Promise<PublishResult> {
    this.moved.push(raw);
    return this.result;
  }
}
