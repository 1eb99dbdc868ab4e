import type { TransportFactory } from 'nestjs-messaging';
import { topologiesOf } from '../../../lib/topology/application-topologies.js';
import { connected } from '../../../lib/topology/topology-plan.js';
import type { QueueMigration } from '../../../lib/transport/provisioning.js';
import { withApp } from './application.js';
import { WANTED } from './legacy.js';

/** Step by step, for what happens between two. */
export function onMigration(
  transport: TransportFactory,
  queue: string,
  work: (migration: QueueMigration) => Promise<void>,
): Promise<void> {
  return withApp(transport, WANTED, async (app) => {
    const [one] = topologiesOf(app);
    await connected(one, {}, async () => work(await one.transport.provisioning!.migration!(one.topologies, queue)));
  });
}
