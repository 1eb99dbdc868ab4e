import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { integerBetween, knownKeys } from '../../errors/option-checks.js';
import type { Topology } from '../../transport/topology.js';
import type { SubscribeRequest } from './subscription-options.js';

const DEFAULT_EXPIRES_MS = 300_000;
const MOST_HOST_CHARACTERS = 60;

/** What names an application that runs, on its host and for ever: no other one has it, not even after a restart. */
export function instanceName(host = hostname()): string {
  return `${host.replace(/[^\w-]/g, '-').slice(0, MOST_HOST_CHARACTERS)}-${randomUUID().slice(0, 8)}`;
}

/** What is beside the option and decides whether it can be set. */
export interface ExclusiveSurroundings {
  readonly provision: boolean;
  /** The option that splits the queue by key; undefined: nothing does. */
  readonly splitBy: string | undefined;
  /** Of the kill switch: so long is nothing consumed. */
  readonly probeAfterMs: number | undefined;
}

/** How the queue of a process ends; undefined where it is not of one process. @throws InvalidOptionError */
export function exclusiveOf(
  { exclusive = false, queue }: Pick<SubscribeRequest, 'exclusive' | 'queue'>,
  { provision, splitBy, probeAfterMs = 0 }: ExclusiveSurroundings,
): Topology['exclusive'] {
  if (exclusive === false) return undefined;
  if (exclusive !== true && (typeof exclusive !== 'object' || exclusive === null))
    throw new InvalidOptionError('exclusive', exclusive, 'true, false, or { expires? }');
  if (exclusive !== true) knownKeys('exclusive', exclusive, ['expires']);
  const { expires = DEFAULT_EXPIRES_MS } = exclusive === true ? {} : exclusive;
  const expiresMs = integerBetween('exclusive.expires', expires, 1_000, 2 ** 31 - 1);
  if (queue !== undefined)
    throw new InvalidOptionError(
      'queue',
      queue,
      'left out beside «exclusive»: each process has another queue. Give it a «name»',
    );
  if (!provision)
    throw new InvalidOptionError(
      'exclusive',
      exclusive,
      'left out with «provision: false»: nobody else can make a queue of this process',
    );
  if (splitBy !== undefined)
    throw new InvalidOptionError('exclusive', exclusive, `left out beside «${splitBy}», which processes share`);
  if (probeAfterMs >= expiresMs)
    throw new InvalidOptionError(
      'exclusive.expires',
      expires,
      `more than «killSwitch.probeAfter» (${probeAfterMs}), for which nobody consumes the queue`,
    );
  return { expiresMs };
}
