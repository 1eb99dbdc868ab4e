import { ManualClock, type HarnessEnvironment, type TransportHarness } from 'nestjs-messaging/testing';
import { MemoryBroker } from '../../lib/transports/memory/memory-broker.js';
import { memory } from '../../lib/transports/memory/memory.js';
import { eager } from './proxied.harness.js';

/** The embedded broker on virtual time. */
export function memoryHarness(): TransportHarness & { readonly clock: ManualClock; readonly broker: MemoryBroker } {
  const clock = new ManualClock();
  const broker = new MemoryBroker({ clock, maxBytes: 2 ** 21 });
  const factory = memory({ broker });
  const environment = (): HarnessEnvironment => ({
    clock,
    service: 'contract',
    random: () => 0.5,
    reconnect: eager,
    confirmTimeout: 5_000,
    provision: true,
  });
  const { faults } = broker;
  return {
    name: 'memory',
    clock,
    broker,
    capabilities: factory.create().capabilities,
    create: () => factory.create(),
    replies: true,
    environment,
    elapse: (ms) => clock.advance(ms),
    faults: {
      disconnect: async () => faults.disconnect(),
      refuse: async (on) => (on ? faults.refuse() : faults.accept()),
      dropConfirms: async (on) => faults.dropConfirms(on),
      block: async (on) => faults.block(on),
      cancel: async (queue) => faults.cancel(queue),
      deleteQueue: async (queue) => faults.deleteQueue(queue),
    },
    remove: async (queues) => queues.forEach((queue) => faults.deleteQueue(queue)),
  };
}
