import type { ChannelModel } from 'amqplib';
import type { AnswerTimeout } from '../../../clock/answered.js';
import type { Names } from '../names.js';
import type { Settings } from '../options.js';
import type { Ownership } from '../consuming/ownership.js';

/** What plans and migrations are made with. */
export interface ProvisioningContext {
  readonly names: Names;
  readonly settings: Settings;
  readonly service: string;
  readonly bound: AnswerTimeout;
  /** Asks on a connection that is open; errors of the client become ours. */
  readonly ask: <T>(question: (model: ChannelModel) => Promise<T>) => Promise<T>;
  readonly redact: (text: string) => string;
  readonly ownership: Ownership;
}
