import type { INestApplication, LoggerService, ModuleMetadata, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Messaging, type MessagingEventMap, type MessagingEventName } from 'nestjs-messaging';

/** Keeps what an application logs. */
export class CapturedLog implements LoggerService {
  readonly lines: string[] = [];
  log = (...parts: unknown[]): void => this.keep('log', parts);
  warn = (...parts: unknown[]): void => this.keep('warn', parts);
  error = (...parts: unknown[]): void => this.keep('error', parts);
  debug = (...parts: unknown[]): void => this.keep('debug', parts);
  verbose = (...parts: unknown[]): void => this.keep('verbose', parts);

  private keep(level: string, parts: unknown[]): void {
    this.lines.push(
      [level, ...parts.map((part) => (part instanceof Error ? String(part.stack) : String(part)))].join(' '),
    );
  }
}

export interface Application {
  readonly app: INestApplication;
  readonly log: CapturedLog;
  readonly messaging: Messaging;
  get<T>(type: Type<T>): T;
  close(): Promise<void>;
}

const running = new Set<INestApplication>();

/** Boots an application; what a test leaves open is closed by `closeApplications`. */
export async function boot(metadata: ModuleMetadata): Promise<Application> {
  const log = new CapturedLog();
  const module = await Test.createTestingModule(metadata).setLogger(log).compile();
  const app = module.createNestApplication();
  running.add(app);
  await app.init();
  return {
    app,
    log,
    messaging: app.get(Messaging),
    get: (type) => app.get(type, { strict: false }),
    close: async () => {
      running.delete(app);
      await app.close();
    },
  };
}

export async function closeApplications(): Promise<void> {
  const open = [...running];
  running.clear();
  await Promise.all(open.map((app) => app.close()));
}

/** The next event of a name that fits. */
export function event<N extends MessagingEventName>(
  messaging: Messaging,
  name: N,
  fits: (payload: MessagingEventMap[N]) => boolean = () => true,
): Promise<MessagingEventMap[N]> {
  return new Promise((resolve) => {
    const off = messaging.events.on(name, (payload) => {
      if (!fits(payload)) return;
      off();
      resolve(payload);
    });
  });
}

/** What handlers saw, to be awaited. */
export class Seen<T> {
  readonly all: T[] = [];
  private waiters: { count: number; resolve: (all: T[]) => void }[] = [];

  add(value: T): void {
    this.all.push(value);
    for (const { count, resolve } of this.waiters) if (this.all.length >= count) resolve(this.all);
  }

  /** Resolves when there are `count`. */
  until(count: number): Promise<T[]> {
    return this.all.length >= count
      ? Promise.resolve(this.all)
      : new Promise((resolve) => this.waiters.push({ count, resolve }));
  }
}
