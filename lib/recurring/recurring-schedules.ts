import type { Coordination } from '../coordination/coordination.js';
import { SubscriptionConflictError } from '../errors/configuration-errors.js';
import type { Publisher } from '../publisher/publisher.js';
import { cronTimes } from './cron-times.js';
import type { RecurringFire, RecurringRequest } from './recurring-options.js';
import { RecurringSchedule, type RecurringEnvironment } from './recurring-schedule.js';

export interface RecurringSchedulesEnvironment extends Omit<RecurringEnvironment, 'store'> {
  readonly service: string;
  readonly coordination: Coordination;
  readonly publisher: Publisher;
}

/** A method that makes recurring messages. */
export interface RecurringMethod {
  readonly request: RecurringRequest;
  /** `Reports.nightly`. */
  readonly place: string;
  readonly make: (fire: RecurringFire) => unknown;
}

/** The recurring messages of one connection. */
export class RecurringSchedules {
  private readonly schedules = new Map<string, RecurringSchedule>();
  private readonly places = new Map<string, string>();

  constructor(private readonly environment: RecurringSchedulesEnvironment) {}

  /** @throws InvalidOptionError, MissingPeerError, SubscriptionConflictError */
  async add({ request, place, make }: RecurringMethod): Promise<void> {
    const { service, coordination, publisher, clock, log } = this.environment;
    const { name, cron, timeZone, missed, route, topic } = request;
    const other = this.places.get(name);
    if (other !== undefined)
      throw new SubscriptionConflictError(
        `${place} and ${other} both have @Recurring for «${name}»: give one of them another «name»`,
      );
    const store = coordination.store('@Recurring');
    const times = await cronTimes(cron, timeZone, clock.now());
    this.places.set(name, place);
    const spec = `«${cron}» in ${timeZone}`;
    const send = async ({ id }: RecurringFire, body: unknown): Promise<void> =>
      void (await publisher.sendOnce(route, body, { id, ...(topic !== undefined && { topic }) }));
    const definition = { ...{ service, name, place, spec, times, missed, send }, make };
    this.schedules.set(name, new RecurringSchedule(definition, { ...this.environment, store }));
    log.log(`Recurring «${name}»: ${spec}, made by ${place}`);
  }

  start(): void {
    for (const schedule of this.schedules.values()) schedule.start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.schedules.values()].map((schedule) => schedule.stop()));
  }
}
