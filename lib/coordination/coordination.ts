import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { DEFAULT_CONNECTION } from '../transport/connection-token.js';
import { errorMessage } from '../errors/redact.js';
import type { CoordinationStore, CoordinationStoreFactory } from './coordination-store.js';

const NEEDED =
  'a store that all processes share, of nestjs-messaging/stores (docs/coordination.md lists them); memoryCoordinationStore() where the application is one process';

/** The coordination store, as it was when it was asked last. */
export interface CoordinationHealth {
  /** `sqlite`, `postgres`, …. */
  readonly store: string;
  readonly reachable: boolean;
  /** Why it is not. */
  readonly reason?: string;
}

/** The coordination store of one connection: made when something needs it. */
export class Coordination {
  private made: CoordinationStore | undefined;
  /** Why it could not be asked, since when it could. */
  private reason: string | undefined;

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
    return (this.made ??= this.watched(entriesOf(this.connection, this.factory.create({ clock: this.clock }))));
  }

  /** Opens the store that processes share, if there is one. @throws what waiting cannot cure */
  async open(): Promise<void> {
    if (this.shared) await this.store('').open?.();
  }

  /** Nothing is asked for it. Undefined where there is no store that others may have, or nothing needs it. */
  health(): CoordinationHealth | undefined {
    if (!this.made || !this.shared) return undefined;
    const { reason } = this;
    return { store: this.factory!.kind, reachable: reason === undefined, ...(reason !== undefined && { reason }) };
  }

  async close(): Promise<void> {
    await this.made?.close();
  }

  private watched(store: CoordinationStore): CoordinationStore {
    return {
      open: async () => store.open?.(),
      close: () => store.close(),
      change: async (key, change) => {
        let own: { readonly error: unknown } | undefined;
        try {
          const result = await store.change(key, (state, now) => {
            try {
              return change(state, now);
            } catch (error) {
              own = { error };
              throw error;
            }
          });
          this.reason = undefined;
          return result;
        } catch (error) {
          this.reason = own?.error === error ? undefined : errorMessage(error);
          throw error;
        }
      },
    };
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
