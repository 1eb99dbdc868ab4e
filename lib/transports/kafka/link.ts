import type { Dialer, LinkEvents } from '../kit/supervised-connection.js';
import type { KafkaClient, KafkaLink } from './client-port.js';
import { misconfiguration } from './errors.js';
import type { Settings } from './options.js';

/** An open link with what is known of its cluster. */
export interface Link {
  readonly client: KafkaLink;
  /** Topics that are there, and how many partitions they have. */
  topics: ReadonlyMap<string, number>;
  /** The answer to `work`; rejects when the link is gone before. */
  answered<T>(work: Promise<T>): Promise<T>;
}

interface OpenLink extends Link {
  end(reason: string): void;
}

/** Opens links to Kafka. */
export class KafkaDialer implements Dialer<Link> {
  constructor(
    private readonly settings: Pick<Settings, 'host' | 'redact'>,
    private readonly client: KafkaClient,
    /** Makes what was declared exist on it. */
    private readonly prepare: (link: Link) => Promise<void>,
  ) {}

  get name(): string {
    return `Kafka at ${this.settings.host}`;
  }

  redact(text: string): string {
    return this.settings.redact(text);
  }

  describe(error: unknown): string {
    return this.redact(error instanceof Error ? error.message : String(error));
  }

  async open(_failures: number, on: LinkEvents<Link>): Promise<Link> {
    let lost: string | undefined;
    let link: OpenLink | undefined;
    const opening = this.client.open((reason) => {
      lost ??= this.redact(reason);
      if (link) this.ended(link, lost, on);
    });
    const client = await opening.catch((error: unknown) => {
      throw misconfiguration(error, this.settings.host, this.describe(error)) ?? error;
    });
    try {
      link = linkOf(client, await client.topics());
      await link.answered(this.prepare(link));
      if (lost !== undefined) throw new Error(lost);
      return link;
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  end({ client }: Link): Promise<void> {
    return client.end();
  }

  destroy(link: Link, reason: string, on: LinkEvents<Link>): void {
    this.ended(link, reason, on);
  }

  private ended(link: Link, reason: string, on: LinkEvents<Link>): void {
    link.client.destroy();
    (link as OpenLink).end(reason);
    on.ended(link, reason);
  }
}

/** A race with one promise for all work would keep each piece of work in memory as long as the link is open. */
function linkOf(client: KafkaLink, topics: ReadonlyMap<string, number>): OpenLink {
  const waiting = new Set<(error: Error) => void>();
  let gone: Error | undefined;
  return {
    client,
    topics,
    answered: (work) =>
      new Promise((resolve, reject) => {
        if (gone) reject(gone);
        else waiting.add(reject);
        void work.then(resolve, reject).finally(() => waiting.delete(reject));
      }),
    end(reason) {
      gone = new Error(reason);
      for (const reject of waiting) reject(gone);
    },
  };
}
