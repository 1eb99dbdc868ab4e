// Imports the package while what it needs is still being imported, and compares its names with those that are required.
import { createRequire } from 'node:module';

async function main(): Promise<void> {
  const imported = await Promise.allSettled([
    import('@nestjs/core'),
    import('nestjs-messaging'),
    import('nestjs-messaging/health'),
    import('@nestjs/common'),
    import('@nestjs/terminus'),
  ]);
  const required = createRequire(process.argv[1])('nestjs-messaging') as object;
  const namespace: object = await import('nestjs-messaging');
  const failures = imported.flatMap((one) => (one.status === 'rejected' ? String(one.reason) : []));
  const lost = Object.keys(required).filter((name) => !(name in namespace));
  console.log(JSON.stringify({ failures, lost, names: Object.keys(required).length }));
}

void main();
