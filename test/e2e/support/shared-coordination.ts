import type { Provider } from '@nestjs/common';
import { memory, MemoryBroker, MessagingModule, type MessagingModuleOptions } from 'nestjs-messaging';
import { type CoordinationStore, CoordinationStoreError, memoryCoordinationStore } from 'nestjs-messaging/stores';
import { ManualClock } from 'nestjs-messaging/testing';
import { type Application, boot } from './application.js';

/** What processes of one service share: an embedded broker, and a coordination store that can be down. */
export class SharedCoordination {
  readonly broker: MemoryBroker;
  /** It is never down. */
  readonly kept: CoordinationStore;
  readonly store: CoordinationStore;
  down = false;

  constructor(readonly clock: ManualClock = new ManualClock()) {
    this.broker = new MemoryBroker({ clock });
    this.kept = memoryCoordinationStore().create({ clock });
    this.store = {
      change: async (key, change) => {
        if (this.down) throw new CoordinationStoreError('down');
        return this.kept.change(key, change);
      },
      close: async () => undefined,
    };
  }

  /** One more process of the service; with a store or a broker of its own where it is given one. */
  start(
    options: MessagingModuleOptions = {},
    own: { readonly store?: CoordinationStore; readonly broker?: MemoryBroker } = {},
    providers: Provider[] = [],
  ): Promise<Application> {
    const { clock, store = this.store, broker = this.broker } = { ...this, ...own };
    const coordination = { kind: 'shared', create: () => store };
    const transport = memory({ broker });
    return boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport, clock, coordination, ...options })],
      providers,
    });
  }
}
