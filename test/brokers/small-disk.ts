import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of a few megabytes, in memory. Only root can make one. */
export class SmallDisk {
  private constructor(readonly path: string) {}

  /** Undefined for who may not. */
  static make(megabytes: number): SmallDisk | undefined {
    if (process.getuid?.() !== 0) return undefined;
    const path = mkdtempSync(join(tmpdir(), 'small-disk-'));
    try {
      const options = `size=${megabytes}m,mode=700`;
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'small-disk', path], { stdio: 'ignore' });
      return new SmallDisk(path);
    } catch {
      rmSync(path, { recursive: true });
      return undefined;
    }
  }

  static get canBeMade(): boolean {
    const tried = SmallDisk.make(1);
    tried?.remove();
    return tried !== undefined;
  }

  /** Until nothing more can be written; gives how to have room again. */
  fill(): () => void {
    const ballast = join(this.path, 'ballast');
    for (let size = 2 ** 20; size >= 2 ** 10; size /= 2)
      for (;;)
        try {
          writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
        } catch {
          break;
        }
    return () => rmSync(ballast);
  }

  remove(): void {
    execFileSync('umount', [this.path]);
    rmSync(this.path, { recursive: true });
  }
}
