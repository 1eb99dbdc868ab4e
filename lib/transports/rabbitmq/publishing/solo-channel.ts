import type { ChannelModel } from 'amqplib';
import type { Clock } from '../../../clock/clock.js';
import type { Verdict } from './isolation.js';
import { PublishChannel, type InFlight } from './publish-channel.js';

/** How long the broker may take to close a channel that it does not confirm on. */
const CLOSE_WITHIN_MS = 2_000;

/** Sends one message at a time, each with its own verdict, on a channel that is opened anew when one closed it. */
export class SoloChannel<T extends InFlight> {
  private channel?: PublishChannel<T>;
  private settle: (verdict: Verdict) => void = () => {};

  constructor(
    readonly model: ChannelModel,
    private readonly clock: Clock,
    private readonly timeout: number,
    private readonly isBlocked: () => boolean,
  ) {}

  async send(entry: T): Promise<Verdict> {
    const channel = (this.channel ??= await this.open());
    return new Promise((resolve) => {
      let cancel = (): void => {};
      const watch = (): void => {
        cancel = this.clock.after(this.timeout, () => (this.isBlocked() ? watch() : end()), { background: true });
      };
      const end = (): void => {
        channel.close();
        cancel = this.clock.after(CLOSE_WITHIN_MS, () => channel.isOpen && channel.abandon(), { background: true });
      };
      this.settle = (verdict) => {
        cancel();
        resolve(verdict);
      };
      entry.returned = false;
      channel.send(entry);
      watch();
    });
  }

  close(): void {
    this.channel?.close();
  }

  private open(): Promise<PublishChannel<T>> {
    return PublishChannel.open<T>(this.model, {
      acked: () => this.settle('acked'),
      nacked: () => this.settle('nacked'),
      ended: (_unresolved, error) => {
        this.channel = undefined;
        this.settle(error ?? 'lost');
      },
      defect: () => {},
    });
  }
}
