import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys } from '../errors/option-checks.js';

/** What somebody may do beyond looking at numbers, names, headers and errors. What is not said is not allowed. */
export interface DashboardAccess {
  /** See bodies, as far as the option `bodies` shows them, and search in them. */
  readonly bodies?: boolean;
  /** Read a queue of dead letters, which its other readers notice. */
  readonly look?: boolean;
  /** Pause and resume the subscriptions of this process. */
  readonly pause?: boolean;
  /** The same in all processes of the service, and in those that start later (it needs the option `coordination` of the module); and in a single one of the fleet. */
  readonly pauseEverywhere?: boolean;
  readonly redrive?: boolean;
  readonly delete?: boolean;
}

export type Permission = keyof DashboardAccess;

/** What the option `access` usually answers with. */
export const role = Object.freeze({
  /** Looks only, and at no body. */
  viewer: Object.freeze({}),
  /** Everything but deleting. */
  operator: Object.freeze({ bodies: true, look: true, pause: true, pauseEverywhere: true, redrive: true }),
  all: Object.freeze({ bodies: true, look: true, pause: true, pauseEverywhere: true, redrive: true, delete: true }),
}) satisfies Readonly<Record<string, DashboardAccess>>;

const PERMISSIONS = Object.keys(role.all) as Permission[];

/** What `access` answered: undefined for `false` and whatever is no answer. @throws InvalidOptionError for a permission that there is not */
export function checkAccess(answer: unknown): Required<DashboardAccess> | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  knownKeys('access', answer, PERMISSIONS);
  const given = answer as DashboardAccess;
  for (const name of PERMISSIONS)
    if (given[name] !== undefined && typeof given[name] !== 'boolean')
      throw new InvalidOptionError(`access.${name}`, given[name], 'true or false');
  return Object.fromEntries(PERMISSIONS.map((name) => [name, given[name] === true])) as Required<DashboardAccess>;
}
