import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { apiCode, apiError, codeOf } from '../connection/broker-errors.js';
import type { Link } from '../connection/link.js';
import type { Names } from '../names.js';

/** The consumer of the delayed stream that the forwarders of all applications share. */
export const FORWARDER = 'forwarder';

const ONE_START = 'or set «provision» to true for one start, which makes it';

/** With `provision: false`: what delayed messages need, looked for and not made. */
export class DelayedStream {
  private readonly found = new WeakMap<Link, Promise<void>>();

  constructor(
    private readonly names: Names,
    private readonly redact: (text: string) => string,
  ) {}

  /** Once per connection: a thousand subscriptions share it. @throws TopologyMismatchError that names what is missing */
  check(link: Link): Promise<void> {
    const known = this.found.get(link);
    if (known) return known;
    const looking = this.look(link);
    this.found.set(link, looking);
    looking.catch(() => this.found.delete(link));
    return looking;
  }

  /** @throws TopologyMismatchError that names what is missing */
  async look(link: Link): Promise<void> {
    const { delayed, delayedSubject } = this.names;
    const stream = `the stream «${delayed}»`;
    const { config } = await this.ask(
      () => link.manager.streams.info(delayed),
      stream,
      `${stream} does not exist. Create it with the retention «workqueue» and the subject «${delayedSubject}», ${ONE_START}`,
    );
    if (!config.subjects.includes(delayedSubject))
      throw new TopologyMismatchError(`${stream} lacks the subject «${delayedSubject}». Add it`);
    const consumer = `the consumer «${FORWARDER}» of ${stream}`;
    await this.ask(
      () => link.manager.consumers.info(delayed, FORWARDER),
      consumer,
      `${consumer} does not exist. Create it as a durable one with explicit acks and no limit of deliveries and pending acks, ${ONE_START}`,
    );
  }

  private async ask<T>(question: () => Promise<T>, what: string, missing: string): Promise<T> {
    try {
      return await question();
    } catch (error) {
      const code = codeOf(error);
      if (code === apiCode.streamNotFound || code === apiCode.consumerNotFound)
        throw new TopologyMismatchError(missing);
      throw apiError(error, what, this.redact);
    }
  }
}
