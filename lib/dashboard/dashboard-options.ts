import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, oneOf, refuseUndefined } from '../errors/option-checks.js';
import { checkPath, checkProtection } from '../web/protection.js';
import { type DashboardAccess, role } from './access.js';
import { checkFleet, type FleetOptions } from './fleet/fleet-options.js';

/** How much of a body leaves the process. */
export interface DashboardBodies {
  /**
   * `redacted`: JSON only, with the values that `redact` names hidden; without `redact` all values are, and the shape is
   * seen. `full`: everything, also what is not JSON. `never`: no body. Default `redacted`.
   */
  readonly show?: 'never' | 'redacted' | 'full';
  /** Names of properties at any depth, in any case; patterns of names; paths such as `$.customer.email`. */
  readonly redact?: readonly (string | RegExp)[];
  /** A larger body is not shown. 1…1,048,576 bytes. Default 65,536. */
  readonly maxBytes?: number;
}

/** Options of the handler; `R` is the request that guards and functions are given. */
export interface DashboardOptions<R = Request> {
  /** Where the dashboard is mounted. Default `/messaging`. */
  readonly path?: string;
  /** Asked for at a login page: 32 characters or more. */
  readonly token?: string;
  /** No login at all: for development. Refused where `NODE_ENV` is `production`. Default false. */
  readonly insecure?: boolean;
  /** What whoever asks may do; `false` is answered with 403, and so is what throws or takes longer than 2 s. Default `role.all`. */
  readonly access?: (request: R) => DashboardAccess | false | Promise<DashboardAccess | false>;
  /** Who asks, for the list of what was done. Default `somebody`. */
  readonly operator?: (request: R) => string | undefined;
  readonly bodies?: DashboardBodies;
  /** The name of the environment, shown on each page. Default `NODE_ENV`. */
  readonly environment?: string;
  /** Shows the other processes of the broker that have the same secret here or in `joinFleet`, too. Default: this one alone. */
  readonly fleet?: FleetOptions;
}

export interface ResolvedDashboard {
  readonly path: string;
  readonly token: string | undefined;
  readonly access: (request: never) => unknown;
  readonly operator: ((request: never) => unknown) | undefined;
  readonly bodies: Required<Omit<DashboardBodies, 'redact'>> & Pick<DashboardBodies, 'redact'>;
  readonly environment: string;
  readonly fleet: FleetOptions | undefined;
}

export const DEFAULT_PATH = '/messaging';
const NAMES = ['path', 'token', 'insecure', 'access', 'operator', 'bodies', 'environment', 'fleet'];
const MAX_BODY = 1_048_576;

/** `others` are options that the caller has checked; `guarded`: it has a guard of its own. @throws InvalidOptionError */
export function resolveDashboard<R>(
  options: DashboardOptions<R>,
  others: readonly string[] = [],
  guarded?: boolean,
): ResolvedDashboard {
  knownKeys('dashboard', options, [...NAMES, ...others]);
  refuseUndefined('dashboard', options, { token: guarded === undefined ? 'insecure: true' : 'guards' });
  const { token, access, operator, environment = process.env.NODE_ENV ?? 'development' } = options;
  checkProtection('dashboard', options, guarded, 'whoever reaches the dashboard sees messages and can redrive them');
  for (const [name, given] of Object.entries({ access, operator }))
    if (given !== undefined && typeof given !== 'function')
      throw new InvalidOptionError(`dashboard.${name}`, given, 'a function of the request');
  if (typeof environment !== 'string') throw new InvalidOptionError('dashboard.environment', environment, 'a text');
  return {
    path: checkPath('dashboard', options.path, DEFAULT_PATH),
    token,
    access: access ?? (() => role.all),
    operator,
    bodies: resolveBodies(options.bodies ?? {}),
    environment,
    fleet: options.fleet && checkFleet('dashboard.fleet', options.fleet),
  };
}

function resolveBodies(bodies: DashboardBodies): ResolvedDashboard['bodies'] {
  knownKeys('dashboard.bodies', bodies, ['show', 'redact', 'maxBytes']);
  const { show = 'redacted', redact, maxBytes = 65_536 } = bodies;
  oneOf('dashboard.bodies.show', show, ['never', 'redacted', 'full']);
  if (redact !== undefined && show !== 'redacted')
    throw new InvalidOptionError('dashboard.bodies.redact', `given with show: '${show}'`, `show: 'redacted'`);
  const isRule = (rule: unknown): boolean => (typeof rule === 'string' && rule !== '') || rule instanceof RegExp;
  if (redact !== undefined && (!Array.isArray(redact) || !redact.every(isRule)))
    throw new InvalidOptionError(
      'dashboard.bodies.redact',
      redact,
      'a list of names, regular expressions, and paths such as $.customer.email',
    );
  return { show, redact, maxBytes: integerBetween('dashboard.bodies.maxBytes', maxBytes, 1, MAX_BODY) };
}
