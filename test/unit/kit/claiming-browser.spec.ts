import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { PublishFailedError } from '../../../lib/errors/publish-errors.js';
import type { Outgoing, PublishResult } from '../../../lib/transport/outgoing.js';
import { ClaimingBrowser } from '../../../lib/transports/kit/claiming-browser.js';
import { Mover, ScriptedClaim } from './claimed.js';

const LEASE_MS = 30_000;

class ScriptedBrowser extends ClaimingBrowser<ScriptedClaim> {
  readonly told: string[] = [];
  readonly mover = new Mover();
  removal?: Error;
  others: readonly string[] = [];
  /** Holds removals until it is called. */
  holding: Promise<void> = Promise.resolve();

  constructor(
    readonly time: ManualClock,
    private readonly pieces: string[][],
  ) {
    super(time, LEASE_MS);
  }

  async arrived(): Promise<number> {
    return 0;
  }

  protected async ready(): Promise<number> {
    return this.pieces.flat().length;
  }

  protected async claim(): Promise<readonly ScriptedClaim[]> {
    return (this.pieces.shift() ?? []).map((id) => new ScriptedClaim(id, this));
  }

  protected async remove({ raw }: ScriptedClaim): Promise<boolean> {
    await this.holding;
    if (this.removal) throw this.removal;
    this.told.push(`removed ${raw}`);
    return true;
  }

  protected copy(delivery: ScriptedClaim, _to: Outgoing): Promise<PublishResult> {
    return this.mover.move(delivery);
  }

  protected async renew(held: readonly ScriptedClaim[]): Promise<readonly ScriptedClaim[]> {
    this.told.push(`renewed ${held.map(({ raw }) => raw).join()}`);
    return held.filter(({ raw }) => this.others.includes(raw));
  }

  protected override forget({ raw }: ScriptedClaim): void {
    this.told.push(`forgot ${raw}`);
  }

  protected async giveBack(held: readonly ScriptedClaim[]): Promise<void> {
    this.told.push(`gave back ${held.map(({ raw }) => raw).join()}`);
    throw new Error('the connection is gone');
  }
}

const browserOf = (...pieces: string[][]): ScriptedBrowser => new ScriptedBrowser(new ManualClock(), pieces);
const next = async (browser: ScriptedBrowser): Promise<ScriptedClaim> => (await browser.next()) as ScriptedClaim;

describe('a look that claims', () => {
  it('shows piece after piece, and gives back at the end what was not settled; a release is no more than that', async () => {
    const browser = browserOf(['1', '2'], ['3']);
    const [one, two] = [await next(browser), await next(browser), await next(browser)];
    expect(await browser.next()).toBeUndefined();
    one.release();
    await expect(two.ackConfirmed()).resolves.toBe(true);
    await browser.close();
    await browser.close();
    expect(browser.told).toEqual(['forgot 2', 'removed 2', 'gave back 1,3']);
    expect(await browser.next()).toBeUndefined();
  });

  it('has behind it what it claimed and did not show, and what nobody has', async () => {
    const browser = browserOf(['1', '2'], ['3']);
    const behind = [await browser.behind()];
    for (let shown = 0; shown < 3; shown++) {
      await browser.next();
      behind.push(await browser.behind());
    }
    expect(behind).toEqual([3, 2, 1, 0]);
    await browser.close();
  });

  it('does not know of a removal that fails whether it was taken', async () => {
    const browser = browserOf(['1']);
    browser.removal = new Error('no answer');
    await expect((await next(browser)).ackConfirmed()).resolves.toBe(false);
  });

  it('ends after the removals that are under way', async () => {
    const browser = browserOf(['1']);
    let remove!: () => void;
    browser.holding = new Promise((resolve) => (remove = resolve));
    (await next(browser)).ack();
    const closed = browser.close();
    remove();
    await closed;
    expect(browser.told).toEqual(['forgot 1', 'removed 1', 'gave back ']);
  });

  it('holds what could not be moved', async () => {
    const browser = browserOf(['1', '2']);
    const [one, two] = [await next(browser), await next(browser)];
    await one.move({} as Outgoing);
    browser.mover.result = { status: 'failed', error: new PublishFailedError('full') };
    await two.move({} as Outgoing);
    await browser.close();
    expect([browser.mover.moved, browser.told]).toEqual([
      ['1', '2'],
      ['forgot 1', 'gave back 2'],
    ]);
  });

  it('renews its leases, and settles no more what is another’s by now', async () => {
    const browser = browserOf(['1', '2']);
    const [one] = [await next(browser), await next(browser)];
    browser.others = ['1'];
    await browser.time.advance(LEASE_MS / 3);
    one.ack();
    await browser.time.advance(LEASE_MS / 3);
    expect(browser.told).toEqual(['renewed 1,2', 'forgot 1', 'renewed 2']);
    await browser.close();
    await browser.time.advance(LEASE_MS);
    expect(browser.told).toHaveLength(4);
  });
});
