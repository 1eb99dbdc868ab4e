export { Recurring, type RecurringDecorator } from './recurring.decorator.js';
export { type MissedPolicy, type RecurringFire, type RecurringOptions } from './recurring-options.js';
