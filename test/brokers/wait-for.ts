import { setTimeout as pause } from 'node:timers/promises';

/** Waits until a condition holds that nothing announces. */
export async function waitFor(condition: () => unknown, what = 'the condition', within = 30_000): Promise<void> {
  const deadline = Date.now() + within;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${within} ms in vain for ${what}`);
    await pause(5);
  }
}
