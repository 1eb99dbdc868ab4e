import { printable } from '../errors/printable.js';
import type { SavedConnectionPlan, SavedPlanEntry, SavedTopologyPlan } from '../topology/topology-plan.js';

const SIGNS: Readonly<Record<SavedPlanEntry['action'], string>> = {
  add: '+',
  change: '~',
  migrate: '!',
  refuse: 'x',
  unmanaged: '?',
};

/** A plan for people. */
export function planText({ connections }: SavedTopologyPlan): string {
  return connections.map(connectionText).join('\n\n');
}

function connectionText({ connection, broker, entries, unseen }: SavedConnectionPlan): string {
  const lines = entries.map((entry) => `  ${entryText(entry)}`);
  const count = (action: SavedPlanEntry['action']): number => entries.filter((one) => one.action === action).length;
  const sum = (Object.keys(SIGNS) as SavedPlanEntry['action'][])
    .flatMap((action) => (count(action) > 0 ? [`${count(action)} to ${WORDS[action]}`] : []))
    .join(', ');
  const told = unseen.map((text) => printable(`Not seen: ${text}`));
  return [`${printable(connection)}: ${printable(broker)}`, ...lines, sum || 'Nothing to do', ...told].join('\n');
}

const WORDS: Readonly<Record<SavedPlanEntry['action'], string>> = {
  add: 'add',
  change: 'change',
  migrate: 'migrate',
  refuse: 'decide on',
  unmanaged: 'leave alone, unmanaged',
};

/** One entry in a line. */
export function entryText({ action, kind, name, wanted, differences, note }: SavedPlanEntry): string {
  const made = wanted && Object.keys(wanted).length > 0 ? ` ${JSON.stringify(wanted)}` : '';
  const told = differences?.map((one) => `${one.name}: ${shown(one.found)} → ${shown(one.wanted)}`).join(', ');
  const migrate = action === 'migrate' ? `topology migrate --queue '${name}'` : undefined;
  const rest = [told || undefined, migrate ?? (told ? undefined : note)].filter((text) => text !== undefined);
  return printable(`${SIGNS[action]} ${kind} ${name}${made}${rest.length > 0 ? ` (${rest.join('; ')})` : ''}`);
}

function shown(value: unknown): string {
  return value === null || value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
}
