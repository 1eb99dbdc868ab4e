import type { Clock } from '../clock/clock.js';
import { ManualClock } from '../clock/manual-clock.js';

/** A store that several processes may share. */
export interface SharedStore {
  open?(): Promise<void>;
  close(): Promise<void>;
}

/** One store, as the processes that share it see it. */
export interface SharedStoreBed<Store extends SharedStore> {
  /** One more process's own view; the same object where the store serves one process only. Closed by the contract. */
  open(): Promise<Store> | Store;
  /** Called at the end of each case, after every view is closed. */
  dispose(): Promise<void> | void;
}

/** How a contract gets at a store. */
export interface SharedStoreHarness<Store extends SharedStore> {
  /** A new, empty store that goes by this clock. */
  create(clock: Clock): Promise<SharedStoreBed<Store>> | SharedStoreBed<Store>;
}

export interface SharedStoreCase {
  readonly name: string;
  run(): Promise<void>;
}

/** What a case is run with. */
export interface TwoViews<Store extends SharedStore> {
  readonly clock: ManualClock;
  /** Two processes; one object where the store serves only one. */
  readonly one: Store;
  readonly two: Store;
}

/** What is to be checked, by the name of the case. */
export type SharedStoreChecks<Store extends SharedStore> = Readonly<
  Record<string, (views: TwoViews<Store>) => Promise<void>>
>;

/** Cases for any test runner: each `run()` rejects where its check does. */
export function sharedStoreCases<Store extends SharedStore>(
  harness: SharedStoreHarness<Store>,
  checks: SharedStoreChecks<Store>,
): SharedStoreCase[] {
  return Object.entries(checks).map(([name, check]) => ({ name, run: () => withTwoViews(harness, check) }));
}

async function withTwoViews<Store extends SharedStore>(
  harness: SharedStoreHarness<Store>,
  check: (views: TwoViews<Store>) => Promise<void>,
): Promise<void> {
  const clock = new ManualClock();
  const bed = await harness.create(clock);
  const views: Store[] = [];
  try {
    for (let view = 0; view < 2; view++) {
      const store = await bed.open();
      await store.open?.();
      views.push(store);
    }
    await check({ clock, one: views[0], two: views[1] });
  } finally {
    for (const view of views) await view.close();
    await bed.dispose();
  }
}
