import type { ConsumerState } from './gate.js';
import type { QueueConsumer } from './queue-consumer.js';

/** A subscription made at run time with `messaging.subscribe`; supervised and reported like a decorated one. */
export class RuntimeSubscription {
  /** @internal */
  constructor(
    private readonly consumer: QueueConsumer,
    private readonly pauses: { paused(name: string, paused: boolean): void },
    private readonly end: () => Promise<void>,
  ) {}

  get queue(): string {
    return this.consumer.queue;
  }

  get state(): ConsumerState {
    return this.consumer.state;
  }

  /** No handler starts until `resume`; running ones finish. Messages wait in the queue. */
  pause(): void {
    this.consumer.pause();
    this.pauses.paused(this.consumer.definition.name, true);
  }

  /** @throws InvalidOptionError where it is paused in all processes */
  resume(): void {
    this.pauses.paused(this.consumer.definition.name, false);
    this.consumer.resume();
  }

  /** No new messages from now on; resolves when running handlers have finished. The queue stays and fills; one of this process alone expires. */
  stop(): Promise<void> {
    return this.end();
  }

  /** Removes the queue's bindings, so that nothing more is routed to it; what it holds is still consumed. */
  unbind(): Promise<void> {
    return this.consumer.unbind();
  }
}
