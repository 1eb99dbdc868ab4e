// Builds the package; with --if-stale only where lib or its configuration is newer than dist.
import { buildPackage } from './tasks.mjs';

await buildPackage({ onlyIfStale: process.argv.includes('--if-stale') });
