export {
  MessagingDashboardModule,
  type MessagingDashboardAsyncOptions,
  type MessagingDashboardOptions,
} from './dashboard.module.js';
export { createDashboardHandler, type DashboardHandler } from './dashboard-handler.js';
export { type DashboardBodies, type DashboardOptions } from './dashboard-options.js';
export { joinFleet } from './fleet/fleet-member.js';
export { type FleetOptions } from './fleet/fleet-options.js';
export { type DashboardAccess, role } from './access.js';
