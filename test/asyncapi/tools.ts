import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { npmFolder } from '../brokers/npm-folder.js';

/** Loads what judges the documents: a parser, validators, schema libraries. */
export type LoadTool = (<T>(name: string) => T) & { resolve(name: string): string };

/** Tests that need the tools of `tools/package.json`; skipped, and told so, where they cannot be had. */
export function describeWithTools(title: string, body: (load: LoadTool) => void): void {
  const { folder, reason } = npmFolder('asyncapi-tools', join(__dirname, 'tools'));
  if (folder !== undefined) return describe(title, () => body(createRequire(join(folder, 'package.json'))));
  describe.skip(title, () => test.todo(reason));
}
