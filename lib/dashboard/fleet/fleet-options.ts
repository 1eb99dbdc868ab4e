import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys } from '../../errors/option-checks.js';
import { MIN_TOKEN } from '../../web/protection.js';

/** What the processes of a fleet have in common. */
export interface FleetOptions {
  /**
   * The same in all processes of the fleet, 32 characters or more: all that they tell and ask each other is signed with it, so
   * that whoever may publish to the broker cannot stop consumers. It never leaves the process.
   */
  readonly secret: string;
  /** Of the application, shown beside the process. Default: `npm_package_version` of the environment. */
  readonly version?: string;
}

/** `of` is the name of the options in errors. @throws InvalidOptionError */
export function checkFleet(of: string, options: FleetOptions): FleetOptions {
  knownKeys(of, options, ['secret', 'version']);
  const { secret, version = process.env.npm_package_version } = options;
  if (typeof secret !== 'string' || secret.length < MIN_TOKEN)
    throw new InvalidOptionError(
      `${of}.secret`,
      typeof secret === 'string'
        ? `a text of ${secret.length} characters`
        : secret === undefined
          ? secret
          : typeof secret,
      `${MIN_TOKEN} characters or more, the same in all processes, as \`openssl rand -base64 32\` makes them`,
    );
  if (version !== undefined && typeof version !== 'string')
    throw new InvalidOptionError(`${of}.version`, version, 'a text');
  return { secret, ...(version !== undefined && { version: version.slice(0, 100) }) };
}
