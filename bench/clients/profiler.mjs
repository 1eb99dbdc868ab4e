import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

const [, , , directory, label] = process.argv;
const session = directory ? new Session() : undefined;
let rounds = 0;

if (session) {
  mkdirSync(directory, { recursive: true });
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 200 });
}

/** The measured part of a round begins. Without `--profile` nothing happens. */
export function startProfile() {
  session?.post('Profiler.start');
}

/** Writes what was seen since `startProfile`, one file per round. */
export function stopProfile() {
  session?.post('Profiler.stop', (error, { profile }) => {
    const name = `${label}-${++rounds}.cpuprofile`;
    writeFileSync(join(directory, name), JSON.stringify(profile));
  });
}
