import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(__dirname, '../..');

/** A folder for code that is made of a document; empty at first. */
export function scratchFolder(name: string): (file: string, text: string) => string {
  const folder = resolve(root, '.build/docs', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return (file, text) => {
    const path = resolve(folder, file);
    writeFileSync(path, text);
    return path;
  };
}

/** What TypeScript says about files, by file, with the project's own options. */
export function typeErrors(files: readonly string[]): Map<string, string[]> {
  const path = resolve(root, 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path, ts.sys.readFile).config,
    ts.sys,
    dirname(path),
  );
  const program = ts.createProgram(files, { ...options, noUnusedLocals: false, noUnusedParameters: false });
  const errors = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const file of files) {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    for (const { messageText } of found) errors.get(file)!.push(ts.flattenDiagnosticMessageText(messageText, '\n'));
  }
  return errors;
}
