import type { INestApplication, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CapturedLog } from './application.js';

/** Serves a sample as it starts with these environment variables; undefined: without it. They are as before afterwards. */
export async function serve(
  module: Type,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<INestApplication> {
  const before = process.env;
  process.env = { ...before, ...environment };
  for (const [name, value] of Object.entries(environment)) if (value === undefined) delete process.env[name];
  try {
    const compiled = await Test.createTestingModule({ imports: [module] })
      .setLogger(new CapturedLog())
      .compile();
    const app = compiled.createNestApplication();
    await app.listen(0);
    return app;
  } finally {
    process.env = before;
  }
}
