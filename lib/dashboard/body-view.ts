import { isSecretName } from '../errors/secret-names.js';
import { exceedsJsonDepth } from '../message/json-depth.js';
import type { ResolvedDashboard } from './dashboard-options.js';

/** A value of JSON, as a page can show it: no name of a property is one of an object here. */
export type JsonNode =
  | readonly ['object', readonly (readonly [name: string, value: JsonNode])[], more?: number]
  | readonly ['array', readonly JsonNode[], more?: number]
  | readonly ['value', string | number | boolean | null]
  | readonly ['hidden', shape: string];

export interface BodyView {
  readonly bytes: number;
  /** Why there is nothing else. */
  readonly hidden?: string;
  readonly json?: JsonNode;
  readonly text?: string;
  readonly hex?: string;
}

const MAX_DEPTH = 64;
const MAX_NODES = 5_000;

/** Makes what leaves the process of a body, by the options. */
export class BodyViews {
  constructor(private readonly options: ResolvedDashboard['bodies']) {}

  view(body: Buffer, allowed: boolean): BodyView {
    const bytes = body.length;
    const { show, maxBytes } = this.options;
    if (show === 'never') return { bytes, hidden: 'Bodies are not shown here (bodies.show: never)' };
    if (!allowed) return { bytes, hidden: 'You may not see bodies' };
    if (bytes > maxBytes) return { bytes, hidden: `Larger than ${maxBytes} bytes (bodies.maxBytes)` };
    const json = this.json(body);
    if (json) return { bytes, json };
    if (show === 'redacted')
      return { bytes, hidden: 'Not JSON, whose values alone can be hidden (bodies.show: redacted)' };
    const text = textOf(body);
    return text === undefined ? { bytes, hex: body.toString('hex') } : { bytes, text };
  }

  /** What may be seen of the value at a path of names, as text: undefined where there is none, or it is hidden. */
  find(body: Buffer, path: readonly string[]): string | undefined {
    let node = this.searched(body);
    for (const name of path) {
      const under = node?.[0] === 'object' ? node[1].find(([key]) => key === name)?.[1] : undefined;
      node = under ?? (node?.[0] === 'array' ? node[1][Number(name)] : undefined);
    }
    return node?.[0] === 'value' ? String(node[1]) : undefined;
  }

  /** Whether a text is in what may be seen. */
  includes(body: Buffer, text: string): boolean {
    const { show, maxBytes } = this.options;
    if (show === 'full' && body.length <= maxBytes) return body.toString().toLowerCase().includes(text);
    const node = this.searched(body);
    return node !== undefined && nodeIncludes(node, text);
  }

  private searched(body: Buffer): JsonNode | undefined {
    const { show, maxBytes } = this.options;
    return show === 'never' || body.length > maxBytes ? undefined : this.json(body);
  }

  private json(body: Buffer): JsonNode | undefined {
    if (exceedsJsonDepth(body, MAX_DEPTH)) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(body.toString());
    } catch {
      return undefined;
    }
    return this.nodeOf(value, [], false, { left: MAX_NODES });
  }

  private nodeOf(value: unknown, path: readonly string[], hidden: boolean, nodes: { left: number }): JsonNode {
    nodes.left--;
    if (Array.isArray(value)) {
      const items: JsonNode[] = [];
      for (const item of value) {
        if (nodes.left <= 0) return ['array', items, value.length - items.length];
        items.push(this.nodeOf(item, path, hidden, nodes));
      }
      return ['array', items];
    }
    if (typeof value === 'object' && value !== null) {
      const entries: [string, JsonNode][] = [];
      const all = Object.entries(value);
      for (const [name, item] of all) {
        if (nodes.left <= 0) return ['object', entries, all.length - entries.length];
        const below = [...path, name];
        entries.push([name, this.nodeOf(item, below, hidden || this.hides(below), nodes)]);
      }
      return ['object', entries];
    }
    if (hidden || this.hidesAll) return ['hidden', shapeOf(value)];
    return ['value', value as string | number | boolean | null];
  }

  private get hidesAll(): boolean {
    return this.options.show === 'redacted' && this.options.redact === undefined;
  }

  private hides(path: readonly string[]): boolean {
    if (this.options.show === 'full') return false;
    const name = path.at(-1)!;
    if (isSecretName(name)) return true;
    return (this.options.redact ?? []).some((rule) => {
      if (rule instanceof RegExp) return name.search(rule) >= 0;
      return rule.startsWith('$.') ? rule.slice(2) === path.join('.') : rule.toLowerCase() === name.toLowerCase();
    });
  }
}

function shapeOf(value: unknown): string {
  return typeof value === 'string' ? `string, ${value.length}` : value === null ? 'null' : typeof value;
}

function nodeIncludes(node: JsonNode, text: string): boolean {
  if (node[0] === 'value') return String(node[1]).toLowerCase().includes(text);
  if (node[0] === 'array') return node[1].some((item) => nodeIncludes(item, text));
  return (
    node[0] === 'object' &&
    node[1].some(([name, item]) => name.toLowerCase().includes(text) || nodeIncludes(item, text))
  );
}

/** Text that is no more than text; undefined for other bytes. */
function textOf(body: Buffer): string | undefined {
  const text = body.toString();
  // eslint-disable-next-line no-control-regex -- bytes that are no text are what is looked for
  return Buffer.byteLength(text) !== body.length || /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text) ? undefined : text;
}
