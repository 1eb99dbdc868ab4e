import { startService } from '../compose.js';
import type { AvailableRabbit } from './availability.js';
import { externalRabbit } from './external.js';
import type { RabbitVersion } from './install.js';

/** Untested where the project is built: there is no Docker there. */
export async function startByCompose(version: RabbitVersion): Promise<AvailableRabbit> {
  const address = await startService(`rabbitmq-${version.replaceAll('.', '-')}`);
  return externalRabbit(`amqp://guest:guest@${await address(5672)}`, `http://guest:guest@${await address(15672)}`);
}
