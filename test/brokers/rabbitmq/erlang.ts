import { randomUUID } from 'node:crypto';
import { runInRoot } from '../chroot.js';

export interface ErlangNode {
  root: string;
  cookie: string;
  distributionPort: number;
}

/** Evaluates expressions inside a running node and gives the printed result, such as `{ok, 3}`. */
export async function evaluate(node: ErlangNode, expressions: string): Promise<string> {
  return (await runInRoot(node.root, [...erlCall(node), '-e'], `${withoutDot(expressions)}.\n`)).trim();
}

/** The same for an expression whose value has a JSON form. */
export async function evaluateJson<T>(node: ErlangNode, expression: string): Promise<T> {
  const print = `io:put_chars(rabbit_json:encode(begin ${withoutDot(expression)} end))`;
  const call = [...erlCall(node), '-fetch_stdout', '-no_result_term', '-e'];
  return JSON.parse(await runInRoot(node.root, call, `${print}.\n`)) as T;
}

/** A binary of any text. */
export function binary(text: string): string {
  return `<<${[...Buffer.from(text)].join(',')}>>`;
}

function erlCall({ cookie, distributionPort }: ErlangNode): string[] {
  const name = `test-${randomUUID()}`; // -r repeats itself within a second, and the node refuses a name it knows
  const address = `127.0.0.1:${distributionPort}`;
  return ['/usr/bin/erl_call', '-address', address, '-c', cookie, '-h', name, '-timeout', '30'];
}

function withoutDot(expressions: string): string {
  return expressions.trim().replace(/\.$/, '');
}
