/** A message of a scenario, before anything has happened to it. */
export interface PlannedMessage {
  readonly id: string;
  /** Words below the scenario's own first one, or the name of a group whose queue it is sent to. */
  readonly to: { readonly route: string } | { readonly group: string };
  readonly delayMs?: number;
}

export interface PlannedGroup {
  readonly name: string;
  readonly patterns: readonly string[];
  readonly prefetch: number;
}

export type PlannedStep =
  | { readonly kind: 'publish'; readonly messages: readonly PlannedMessage[] }
  /** The group is paused while these are published. */
  | { readonly kind: 'pause'; readonly group: string; readonly messages: readonly PlannedMessage[] }
  /** The group's subscription is stopped while these are published, then there is a new one. */
  | { readonly kind: 'resubscribe'; readonly group: string; readonly messages: readonly PlannedMessage[] }
  /** Every connection is cut. */
  | { readonly kind: 'disconnect' }
  /** Every connection is cut and none is to be had while these are tried. */
  | { readonly kind: 'outage'; readonly messages: readonly PlannedMessage[] };

/** What the handlers of a group do with a message. */
export interface Fate {
  /** Given back so often first. */
  readonly releases: number;
  /** Kept unsettled until the connection is lost. */
  readonly held: boolean;
  /** How the handling ends: `retry` is a delayed copy to the group's own queue, then ack. */
  readonly end: 'ack' | 'dead-letter' | 'retry';
}

export interface ScenarioPlan {
  readonly groups: readonly PlannedGroup[];
  readonly steps: readonly PlannedStep[];
  fate(group: string, id: string): Fate;
}

const routes = ['order', 'order.created', 'order.paid', 'order.item.added', 'user.created', 'user', 'nobody.listens'];
const patterns = ['order.created', 'order.*', 'order.#', '*.created', 'user', '#.added', 'user.#', 'order.*.added'];

/** The same plan for the same seed, always. */
export function planScenario(seed: number): ScenarioPlan {
  const random = generator(seed);
  const groups = times(2 + random.below(3), (index): PlannedGroup => {
    const bound = times(1 + random.below(3), () => random.of(patterns));
    return { name: `g${index}`, patterns: [...new Set(bound)], prefetch: 1 + random.below(6) };
  });
  let count = 0;
  const message = (): PlannedMessage => ({
    id: `m${count++}`,
    to: random.chance(0.2) ? { group: random.of(groups).name } : { route: random.of(routes) },
    ...(random.chance(0.2) ? { delayMs: 50 + random.below(400) } : {}),
  });
  const messages = (): PlannedMessage[] => times(1 + random.below(6), message);
  const step = (): PlannedStep => {
    const kind = random.of([
      'publish',
      'publish',
      'publish',
      'publish',
      'pause',
      'resubscribe',
      'disconnect',
      'outage',
    ]);
    if (kind === 'disconnect') return { kind };
    if (kind === 'pause' || kind === 'resubscribe') {
      return { kind, group: random.of(groups).name, messages: messages() };
    }
    return { kind: kind as 'publish' | 'outage', messages: messages() };
  };
  // Whatever the dice say, each scenario has some of both.
  const steps = [
    ...times(12, step),
    { kind: 'publish', messages: messages() },
    { kind: 'disconnect' },
  ] as PlannedStep[];
  return { groups, steps: [...steps, ...times(3, step)], fate: (group, id) => fateOf(seed, group, id) };
}

/** The groups that AMQP's rules give a message to. */
export function receivers(plan: ScenarioPlan, { to }: PlannedMessage): string[] {
  if ('group' in to) return [to.group];
  const matching = plan.groups.filter((group) => group.patterns.some((pattern) => matches(pattern, to.route)));
  return matching.map(({ name }) => name);
}

export function messagesOf(step: PlannedStep): readonly PlannedMessage[] {
  return step.kind === 'disconnect' ? [] : step.messages;
}

/** By the letter of the AMQP specification, and by no transport's code. */
function matches(pattern: string, route: string): boolean {
  const words = pattern.split('.').map((word) => (word === '*' ? '[^.]+' : word === '#' ? '#' : word));
  const expression = words
    .join('\\.')
    .replace(/^#\\\./, '(?:.*\\.)?')
    .replace(/\\\.#$/, '(?:\\..*)?');
  return new RegExp(`^${expression === '#' ? '.*' : expression}$`).test(route);
}

function fateOf(seed: number, group: string, id: string): Fate {
  const random = generator(
    [...`${seed}/${group}/${id}`].reduce((hash, char) => Math.imul(hash, 31) + char.charCodeAt(0), 7),
  );
  return {
    releases: random.chance(0.3) ? 1 + random.below(2) : 0,
    held: random.chance(0.2),
    end: random.chance(0.7) ? 'ack' : random.of(['dead-letter', 'retry']),
  };
}

interface Random {
  below(limit: number): number;
  chance(probability: number): boolean;
  of<T>(choices: readonly T[]): T;
}

/** Mulberry32. */
function generator(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { below, chance: (probability) => next() < probability, of: (choices) => choices[below(choices.length)] };
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
