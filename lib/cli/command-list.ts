import { asyncApiCheckCommand } from './asyncapi-check.command.js';
import { asyncApiDiffCommand } from './asyncapi-diff.command.js';
import { asyncApiExportCommand } from './asyncapi-export.command.js';
import type { Command } from './command.js';
import { completionCommands } from './completion.command.js';
import { dashboardCommand } from './dashboard.command.js';
import { deadLettersDeleteCommand } from './dead-letters-delete.command.js';
import { deadLettersListCommand } from './dead-letters-list.command.js';
import { deadLettersRedriveCommand } from './dead-letters-redrive.command.js';
import { deadLettersShowCommand } from './dead-letters-show.command.js';
import { deadLettersCommand } from './dead-letters.command.js';
import { queuesCommand } from './queues.command.js';
import { requeueInspectCommand } from './requeue-inspect.command.js';
import { requeuePurgeCommand } from './requeue-purge.command.js';
import { requeueRetryCommand } from './requeue-retry.command.js';
import { requeueCommand } from './requeue.command.js';
import { topologyApplyCommand } from './topology-apply.command.js';
import { topologyMigrateCommand } from './topology-migrate.command.js';
import { topologyPlanCommand } from './topology-plan.command.js';
import { transactionsDecideCommand } from './transactions-decide.command.js';
import { transactionsListCommand } from './transactions-list.command.js';
import { transactionsShowCommand } from './transactions-show.command.js';

const DEAD_LETTERS = [
  deadLettersListCommand,
  deadLettersShowCommand,
  deadLettersRedriveCommand,
  deadLettersDeleteCommand,
];

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  queuesCommand,
  deadLettersCommand(DEAD_LETTERS),
  ...DEAD_LETTERS,
  dashboardCommand,
  requeueCommand,
  requeueInspectCommand,
  requeueRetryCommand,
  requeuePurgeCommand,
  asyncApiExportCommand,
  asyncApiCheckCommand,
  asyncApiDiffCommand,
  topologyPlanCommand,
  topologyApplyCommand,
  topologyMigrateCommand,
  transactionsListCommand,
  transactionsShowCommand,
  transactionsDecideCommand,
  ...completionCommands(() => COMMANDS),
];
