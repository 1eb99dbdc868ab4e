import type { FaultCase } from '../fault-case.js';
import { brokerFaults } from './broker.js';
import { connectionFaults } from './connection.js';
import { clusterFaults } from './cluster.js';
import { copyFaults } from './copies.js';
import { orderFaults } from './order.js';
import { partitionFaults } from './partitions.js';
import { processFaults } from './processes.js';
import { topologyFaults } from './topology.js';

/** The matrix, in the order of its table. */
export const faults: readonly FaultCase[] = [
  ...brokerFaults,
  ...connectionFaults,
  ...topologyFaults,
  ...processFaults,
  ...copyFaults,
  ...orderFaults,
  ...clusterFaults,
  ...partitionFaults,
];
