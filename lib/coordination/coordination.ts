import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { DEFAULT_CONNECTION } from '../transport/connection-token.js';
import type { CoordinationStore, CoordinationStoreFactory } from './coordination-store.js';

const NEEDED =
  'a store that all processes share, of nestjs-messaging/stores (docs/coordination.md lists them); memoryCoordinationStore() where the application is one process';

/** The coordination store of one connection: made when something needs it. */
export class Coordination {
  private made: CoordinationStore | undefined;

  constructor(
    private readonly factory: CoordinationStoreFactory | undefined,
    private readonly clock: Clock,
    private readonly connection: string = DEFAULT_CONNECTION,
  ) {}

  /** Whether there is one. */
  get configured(): boolean {
    return this.factory !== undefined;
  }

  /** Whether other processes may have the same one. */
  get shared(): boolean {
    return this.factory !== undefined && this.factory.kind !== 'memory';
  }

  /** @throws InvalidOptionError without one, for what needs it */
  store(neededBy: string): CoordinationStore {
    if (!this.factory) throw new InvalidOptionError('coordination', undefined, `${NEEDED}. ${neededBy} needs it`);
    return (this.made ??= entriesOf(this.connection, this.factory.create({ clock: this.clock })));
  }

  /** Opens the store that processes share, if there is one. @throws what waiting cannot cure */
  async open(): Promise<void> {
    if (this.shared) await this.store('').open?.();
  }

  async close(): Promise<void> {
    await this.made?.close();
  }
}

/** What each connection has of a store that an application gives to several. */
function entriesOf(connection: string, store: CoordinationStore): CoordinationStore {
  if (connection === DEFAULT_CONNECTION) return store;
  const prefix = `@${encodeURIComponent(connection)}:`;
  return {
    open: async () => store.open?.(),
    change: (key, change) => store.change(prefix + key, change),
    close: () => store.close(),
  };
}

/** @throws InvalidOptionError */
export function checkCoordinationStore(option: string, store: CoordinationStoreFactory): CoordinationStoreFactory {
  if (typeof store !== 'object' || store === null || typeof store.create !== 'function')
    throw new InvalidOptionError(option, store, NEEDED);
  return store;
}
