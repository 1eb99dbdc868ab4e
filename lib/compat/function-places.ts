import { existsSync, readFileSync } from 'node:fs';
import type { Session } from 'node:inspector';
import { SourceMap } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInThisContext } from 'node:vm';

interface Location {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/**
 * Where functions are written, from the folder of the process: `src/orders.ts:12`. The engine is asked, once and for all of
 * them: whoever has decorated a function, it costs nothing before and after. Undefined where it cannot tell.
 */
export function placesOf(functions: readonly object[]): (string | undefined)[] {
  const none = functions.map(() => undefined);
  // Not every runtime has an inspector, and it is not imported where nothing is to be told.
  const inspector = functions.length > 0 && process.getBuiltinModule?.('node:inspector');
  if (!inspector) return none;
  const holder = runInThisContext('globalThis') as Record<symbol, unknown>;
  const key = Symbol.for('nestjs-messaging:functions');
  const session = new inspector.Session();
  try {
    const urls = new Map<string, string>();
    session.connect();
    session.on('Debugger.scriptParsed', ({ params }) => void urls.set(params.scriptId, params.url));
    session.post('Debugger.enable');
    holder[key] = functions;
    return functions.map((_, at) => {
      const found = locationOf(session, `globalThis[Symbol.for('${key.description}')][${at}]`);
      const url = found && urls.get(found.scriptId);
      return found && url ? written(url, found) : undefined;
    });
  } catch {
    return none;
  } finally {
    delete holder[key];
    session.disconnect();
  }
}

/** The answers of a session in its own thread come before `post` returns. */
function locationOf(session: Session, expression: string): Location | undefined {
  let location: Location | undefined;
  session.post('Runtime.evaluate', { expression }, (_, evaluated) => {
    const { objectId } = evaluated?.result ?? {};
    if (objectId === undefined) return;
    session.post('Runtime.getProperties', { objectId, ownProperties: true }, (_none, properties) => {
      const inner = properties?.internalProperties?.find(({ name }) => name === '[[FunctionLocation]]');
      location = inner?.value?.value as Location | undefined;
    });
  });
  return location;
}

/** As the source has it, where the compiled file says which that is. */
function written(url: string, { lineNumber, columnNumber }: Location): string {
  const file = url.startsWith('file:') ? fileURLToPath(url) : url;
  const map = existsSync(`${file}.map`) ? readFileSync(`${file}.map`, 'utf8') : undefined;
  const entry = map && new SourceMap(JSON.parse(map) as never).findEntry(lineNumber, columnNumber);
  if (!entry || !('originalSource' in entry)) return shown(file, lineNumber);
  const source = entry.originalSource.startsWith('file:') ? fileURLToPath(entry.originalSource) : entry.originalSource;
  return shown(resolve(dirname(file), source), entry.originalLine);
}

function shown(file: string, line: number): string {
  return `${relative(process.cwd(), file)}:${line + 1}`;
}
