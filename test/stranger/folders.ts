import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TopologyMismatchError } from 'nestjs-messaging';
import { compilePattern, type Destination, type Topology, wordsOf } from 'nestjs-messaging/transport';

const isConsumer = (entry: string): boolean => entry.endsWith('.');
const encode = (name: string): string =>
  encodeURIComponent(name).replace(/[.*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);

/** A queue is a folder: `ready` and `taken` hold its messages, `bound` a file for each pattern and dead-letter route. */
export class Folders {
  private readonly made = new Set<string>();

  constructor(
    readonly root: string,
    /** Of those that name none. */
    private readonly topic: string,
  ) {}

  exists(queue: string): boolean {
    return existsSync(this.of(queue, 'ready'));
  }

  of(queue: string, part: 'ready' | 'taken' | 'bound'): string {
    return join(this.root, encode(queue), part);
  }

  make({ queue, topic = this.topic, patterns, deadLetter }: Topology): void {
    const bound = this.of(queue, 'bound');
    for (const part of ['ready', 'taken', 'bound'] as const) mkdirSync(this.of(queue, part), { recursive: true });
    if (deadLetter) {
      const [known = deadLetter.queue] = readdirSync(bound).flatMap((name) => name.split('>')[1] ?? []);
      if (known !== encode(deadLetter.queue) && known !== deadLetter.queue)
        throw new TopologyMismatchError(
          `The queue «${queue}» has the dead-letter queue «${decodeURIComponent(known)}»`,
        );
      this.make({ queue: deadLetter.queue, patterns: [], provision: true });
      writeFileSync(join(bound, `>${encode(deadLetter.queue)}`), '');
      writeFileSync(join(this.of(deadLetter.queue, 'bound'), `&${encode(deadLetter.route)}`), '');
    }
    // What an earlier process of the service had bound, and this one does not ask for, unless somebody consumes it.
    const wanted = patterns.map((pattern) => `${encode(topic)}&${encode(pattern)}`);
    if (wanted.length > 0 && !this.made.has(queue) && !readdirSync(this.of(queue, 'taken')).some(isConsumer))
      for (const name of readdirSync(bound))
        if (/^[^&>]/.test(name) && !wanted.includes(name)) rmSync(join(bound, name));
    if (wanted.length > 0) this.made.add(queue);
    for (const name of wanted) writeFileSync(join(bound, name), '');
  }

  remove(queue: string): void {
    rmSync(join(this.root, encode(queue)), { recursive: true, force: true });
  }

  /** The queues that take what is sent there. No topic of an application is empty: that one is for dead letters. */
  takers(to: Destination): string[] {
    if (to.kind === 'queue') return this.exists(to.queue) ? [to.queue] : [];
    const topic = to.kind === 'route' ? (to.topic ?? this.topic) : '';
    const words = wordsOf(to.route);
    const takes = (binding: string): boolean => {
      const [bound, pattern] = binding.split('&').map(decodeURIComponent);
      return bound === topic && (topic === '' ? pattern === to.route : compilePattern(pattern)(words));
    };
    return this.all().filter((queue) => readdirSync(this.of(queue, 'bound')).some(takes));
  }

  /** Durable before anybody sees it. */
  write(queue: string, name: string, bytes: Buffer): void {
    const file = join(this.of(queue, 'ready'), name);
    writeFileSync(`${file}~`, bytes, { flag: 'wx', flush: true });
    renameSync(`${file}~`, file);
  }

  /** What is ready, the first to be due first. */
  ready(queue: string): string[] {
    const names = readdirSync(this.of(queue, 'ready'));
    return names.filter((name) => !name.endsWith('~')).sort();
  }

  /** Takes a message, unless somebody else has. Returns its file. */
  take(queue: string, name: string, owner: string): string | undefined {
    const file = join(this.of(queue, 'taken'), `${owner}.${name}`);
    try {
      renameSync(join(this.of(queue, 'ready'), name), file);
      return file;
    } catch {
      return undefined;
    }
  }

  /** Where the queue was deleted, its messages were as well. */
  giveBack(queue: string, file: string, name: string): void {
    if (existsSync(file)) renameSync(file, join(this.of(queue, 'ready'), name));
  }

  /** Says who consumes the queue, or does not any more. */
  consumes(queue: string, owner: string, yes: boolean): void {
    const file = join(this.of(queue, 'taken'), `${owner}.`);
    if (yes) writeFileSync(file, '');
    else rmSync(file, { force: true });
  }

  /** What processes had taken that are gone. */
  recover(): void {
    for (const queue of this.all())
      for (const entry of readdirSync(this.of(queue, 'taken'))) {
        const [owner, ...name] = entry.split('.');
        if (existsSync(`/proc/${Number.parseInt(owner, 10)}`)) continue;
        if (isConsumer(entry)) this.consumes(queue, owner, false);
        else this.giveBack(queue, join(this.of(queue, 'taken'), entry), again(name.join('.')));
      }
  }

  private all(): string[] {
    const queues = readdirSync(this.root).map(decodeURIComponent);
    return queues.filter((queue) => this.exists(queue));
  }
}

/** `<due at>-<number>.<deliveries so far>`: names sort by time. */
export function fileName(dueAt: number, number: string, deliveries = 0): string {
  return `${String(Math.max(0, Math.ceil(dueAt))).padStart(15, '0')}-${number}.${deliveries}`;
}

export const dueAtOf = (name: string): number => Number(name.slice(0, 15));
export const deliveriesOf = (name: string): number => Number(name.slice(name.lastIndexOf('.') + 1));

/** The name of a message that was delivered once more. */
export function again(name: string, dueAt = dueAtOf(name)): string {
  return fileName(dueAt, name.slice(16, name.lastIndexOf('.')), deliveriesOf(name) + 1);
}
