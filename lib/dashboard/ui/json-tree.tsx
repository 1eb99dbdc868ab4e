import type { JsonNode } from './types.js';
import { Text } from './parts.js';

/** A body of JSON; nothing in it is taken for anything but text. */
export function JsonTree({ node, depth = 0 }: { node: JsonNode; depth?: number }) {
  if (node[0] === 'hidden') return <em class="redacted">‹{node[1]}›</em>;
  if (node[0] === 'value') return <Value of={node[1]} />;
  const [kind, all, more] = node;
  if (all.length === 0 && !more) return <span>{kind === 'object' ? '{ }' : '[ ]'}</span>;
  return (
    <details class="json" open={depth < 3}>
      <summary>{kind === 'object' ? `{ ${all.length} }` : `[ ${all.length} ]`}</summary>
      <ul>
        {all.map((one, at) => (
          <li key={at}>
            {kind === 'object' ? <NameOf of={(one as [string, JsonNode])[0]} /> : <span class="index">{at}: </span>}
            <JsonTree node={kind === 'object' ? (one as [string, JsonNode])[1] : (one as JsonNode)} depth={depth + 1} />
          </li>
        ))}
        {more ? <li>… and {more} more</li> : null}
      </ul>
    </details>
  );
}

function NameOf({ of }: { of: string }) {
  return (
    <span class="name">
      <Text of={of} />
      {': '}
    </span>
  );
}

function Value({ of }: { of: string | number | boolean | null }) {
  if (typeof of !== 'string') return <span class="literal">{String(of)}</span>;
  return (
    <span class="string">
      “<Text of={of} />”
    </span>
  );
}

/** Bytes, sixteen in a line. */
export function Hex({ of }: { of: string }) {
  const lines = of.match(/.{1,32}/g) ?? [];
  const line = (hex: string, at: number): string =>
    `${(at * 16).toString(16).padStart(6, '0')}  ${hex.replace(/../g, '$& ')}`;
  return <pre tabIndex={0}>{lines.map(line).join('\n')}</pre>;
}
