import type { Outgoing } from '../../../transport/outgoing.js';
import type { PublishDone } from '../../../transport/transport.js';
import type { DelayRoute } from '../topology/declarations.js';
import type { InFlight } from './publish-channel.js';

/** One message on its way to a confirm, with the way back to its sender. */
export interface Sending extends InFlight {
  readonly outgoing: Outgoing;
  readonly done: PublishDone;
  /** Set when it goes through the delay levels. */
  readonly delay?: DelayRoute;
  /** Its levels were declared anew once already. */
  readonly again: boolean;
}
