import { near } from '../errors/did-you-mean.js';
import type { Destination } from '../transport/outgoing.js';
import type { Topology } from '../transport/topology.js';

/** So many are named. */
const MOST = 10;
const UNKNOWN = 'what other processes bind is not known here';

/** What this process has bound, and where publishes and subscriptions that name no topic go. */
export interface KnownBindings {
  readonly topologies: readonly Topology[];
  readonly topic: string | undefined;
}

/** The error, with what may help whoever published in its message. */
export function explained<E extends Error>(error: E, to: Destination, bindings?: () => KnownBindings): E {
  if (bindings) error.message += unroutableHint(to, bindings());
  return error;
}

/** What may help whoever published to where no queue is: what is near, and what this process knows of. Empty: nothing. */
export function unroutableHint(to: Destination, { topologies, topic }: KnownBindings): string {
  if (to.kind === 'dead-letter') return '';
  if (to.kind === 'queue')
    return hint(
      to.queue,
      topologies.map(({ queue }) => queue),
      'The queues of this process',
    );
  const wanted = to.topic ?? topic;
  const here = topologies.filter((one) => (one.topic ?? topic) === wanted);
  const elsewhere = topologies.find((one) => !here.includes(one) && one.patterns.includes(to.route));
  const other = elsewhere ? `. This process binds it on «${elsewhere.topic ?? topic}», not on «${wanted}»` : '';
  return (
    other +
    hint(
      to.route,
      here.flatMap(({ patterns }) => patterns),
      `The routes that this process binds${wanted === undefined ? '' : ` on «${wanted}»`}`,
    )
  );
}

function hint(name: string, all: readonly string[], what: string): string {
  const known = [...new Set(all)].sort();
  const [nearest] = near(name, known);
  const meant = nearest === undefined ? '' : `. Did you mean «${nearest}»?`;
  const first = [...new Set([...near(name, known, MOST), ...known])].slice(0, MOST);
  const more = known.length > first.length ? ` and ${known.length - first.length} more` : '';
  const list = known.length === 0 ? 'none' : `${first.join(', ')}${more}`;
  return `${meant === '' ? '.' : meant} ${what}: ${list}; ${UNKNOWN}`;
}
