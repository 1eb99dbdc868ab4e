import { announced, type Availability } from '../availability.js';
import type { RabbitDescription } from './handle.js';

/** A broker that the tests of this run may use. */
export interface AvailableRabbit {
  version: string;
  url: string;
  /** Where it is a node of this run: it can be given faults. */
  node?: RabbitDescription;
  /** Where it has the management plugin: makes vhosts. */
  managementUrl?: string;
}

export type RabbitAvailability = Availability<AvailableRabbit>;

export const announcedRabbit = (): RabbitAvailability => announced('rabbitmq', 'RabbitMQ');
