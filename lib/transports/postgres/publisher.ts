import { isAnswer, type PostgresError } from '../../clients/postgres-errors.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Batch, BatchingPublisher } from '../kit/batching-publisher.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { isMissing, isOverValue, isWithoutRoom } from './broker-errors.js';
import { type Link, PostgresDialer } from './link.js';
import type { Settings } from './options.js';
import { PublishStatements, type Source } from './publish-statement.js';

/** A year. */
export const MAX_DELAY_MS = 365 * 24 * 3_600_000;
/** The most that one statement stores: messages, and bytes of bodies. */
const MOST_MESSAGES = 1_000;
const MOST_BYTES = 2 ** 23;

/** Stores each batch by one statement, with one commit. */
export class Publisher extends BatchingPublisher<Link, Source> {
  private readonly statements: PublishStatements;

  constructor(
    settings: Settings,
    environment: TransportEnvironment,
    connection: SupervisedConnection<Link>,
    /** These queues have got something. */
    private readonly stored: (queues: ReadonlySet<number>) => void,
  ) {
    const { clock, service } = environment;
    super({
      broker: 'PostgreSQL',
      environment,
      connection,
      maxBytes: settings.maxBytes,
      maxDelayMs: MAX_DELAY_MS,
      mostMessages: MOST_MESSAGES,
      mostBytes: MOST_BYTES,
      quarantine: () => new PostgresDialer({ settings, clock, service: `${service} (quarantine)`, provision: false }),
    });
    this.statements = new PublishStatements(settings.schema, settings.topic);
  }

  protected async store(
    connection: SupervisedConnection<Link>,
    { link, sendings }: Batch<Link, Source>,
  ): Promise<readonly PublishResult[]> {
    const { statement, values, places } = this.statements.of(sendings);
    const rows = await this.within(connection, link, link.publish(statement, values));
    const { results, queues } = this.statements.read(sendings, places, rows);
    if (queues.size > 0) this.stored(queues);
    return results;
  }

  protected override isOverOne(error: unknown): boolean {
    return isAnswer(error as PostgresError) && isOverValue(error as PostgresError);
  }

  protected async failure(
    error: unknown,
    text: string,
    connection: SupervisedConnection<Link>,
    link: Link,
  ): Promise<PublishResult> {
    if (!isAnswer(error as PostgresError)) await link.closed;
    if (isWithoutRoom(error as PostgresError))
      return {
        status: 'failed',
        error: new PublishFailedError(`${text}. It goes on once there is room`),
        nacked: true,
      };
    // Somebody has dropped the tables: who may makes them again with the next connection.
    const missing = isMissing(error as PostgresError);
    const { provision } = this.batching.environment;
    if (missing && provision) connection.destroy(connection.describe(error), link);
    return { status: 'failed', error: new PublishFailedError(text), ...(missing && !provision && { missing }) };
  }
}
