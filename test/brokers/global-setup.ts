import Module from 'node:module';

export default async function globalSetup(): Promise<void> {
  (globalThis as { stopBrokers?: () => Promise<void> }).stopBrokers = await withTypeScriptFiles(async () => {
    const { startBrokers } = await import('./start-brokers.js');
    return startBrokers();
  });
}

type Resolve = (request: string, ...rest: unknown[]) => string;

/** Jest's moduleNameMapper is not for global hooks: here, too, './x.js' means x.ts. */
async function withTypeScriptFiles<T>(load: () => Promise<T>): Promise<T> {
  const loader = Module as unknown as { _resolveFilename: Resolve };
  const original = loader._resolveFilename;
  loader._resolveFilename = function (request, ...rest) {
    try {
      return original.call(this, request, ...rest);
    } catch (error) {
      if (!/^\..*\.js$/.test(request)) throw error;
      return original.call(this, request.replace(/\.js$/, '.ts'), ...rest);
    }
  };
  try {
    return await load();
  } finally {
    loader._resolveFilename = original;
  }
}
