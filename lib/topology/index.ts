export { unconnectedApplication } from '../asyncapi/unconnected.js';
export { type PlannedAction, type PlannedDifference } from '../transport/provisioning.js';
export { migrateQueue, type MigratedQueue, type MigrationOptions } from './queue-migration.js';
export {
  applyTopology,
  hasDifferences,
  planTopology,
  type SavedConnectionPlan,
  type SavedPlanEntry,
  type SavedTopologyPlan,
  type TopologyOptions,
} from './topology-plan.js';
