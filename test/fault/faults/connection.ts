import { waitFor } from '../../brokers/wait-for.js';
import type { Method } from '../amqp-gate.js';
import type { FaultCase } from '../fault-case.js';
import { within } from '../within.js';

/** Before the connection is open, before and between the topology, before the confirms, the prefetch and the consuming. */
const reconnectSteps: readonly Method[] = [
  'connectionOpen',
  'channelOpen',
  'confirmSelect',
  'exchangeDeclare',
  'queueDeclare',
  'queueBind',
  'basicQos',
  'basicConsume',
];

const both = ['quorum', 'classic'] as const;

/** Connections end, or seem to live. */
export const connectionFaults: readonly FaultCase[] = [
  {
    name: 'polite-close',
    title: 'The operator closes all connections (320)',
    queueTypes: both,
    short: ['plain'],
    async run(cell) {
      await cell.underLoad();
      const closed = await cell.strike(() => cell.node.closeConnections('maintenance', cell.vhost));
      cell.check(closed >= 3, `only ${closed} connections were closed`);
      for (const worker of [cell.publisher, cell.consumer]) {
        await cell.expect(worker, 'disconnected');
        await cell.expect(worker, 'connected');
      }
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'abrupt-loss',
    title: 'Sockets die without a word: in the broker, then on the way',
    queueTypes: both,
    alsoConsumedBy: ['batch', 'receive', 'partitions'],
    short: ['plain', 'partitions'],
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.node.killConnections(cell.vhost));
      await cell.expect(cell.publisher, 'disconnected');
      await cell.recovered();
      await cell.underLoad();
      await cell.strike(() => {
        cell.check(cell.proxy.reset() + cell.gate.reset() >= 3, 'fewer than three connections were reset');
      });
      await cell.expect(cell.publisher, 'disconnected');
      await cell.expect(cell.consumer, 'consumer-stopped');
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'refusing-listener',
    title: 'The broker drops all and refuses new connections, then takes them again',
    async run(cell) {
      await cell.underLoad();
      await cell.node.suspendListeners();
      try {
        await cell.strike(() => cell.node.killConnections(cell.vhost));
        await cell.expect(cell.publisher, 'disconnected');
        await cell.expect(cell.publisher, 'queued', 200);
        const { connection } = await cell.publisher.status();
        cell.check(connection === 'connecting', `the publisher says ${connection}`);
      } finally {
        await cell.node.resumeListeners();
      }
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'second-fall',
    title: 'A second fall in the middle of the reconnect: at each step of it in turn',
    async run(cell) {
      // Another publisher, whose frames can be seen as well.
      const second = await cell.startPublisher({ urls: cell.consumer.settings.urls });
      await second.tell({ do: 'load', load: { rate: 50 } });
      for (const step of reconnectSteps) {
        await cell.underLoad();
        const fell = cell.gate.resetAt(step);
        await cell.strike(() => {
          cell.gate.reset();
          return cell.proxy.reset();
        });
        await within(20_000, `the second fall at ${step}`, fell);
        await cell.recovered(cell.publisher, second, cell.consumer);
      }
      await cell.underLoad();
    },
  },
  {
    name: 'hung-broker',
    title: 'SIGSTOP for longer than the heartbeat (half-open)',
    worker: { heartbeat: 1 },
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.node.suspend());
      try {
        await cell.expect(cell.publisher, 'disconnected');
        await cell.expect(cell.consumer, 'consumer-stopped');
      } finally {
        cell.node.resume();
      }
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'mid-frame',
    title: 'TCP cut in the middle of a frame',
    load: { rate: 300, mixed: true, filler: 800 },
    async run(cell) {
      for (let round = 0; round < 3; round++) {
        await cell.underLoad();
        await cell.strike(() => cell.proxy.cutAfter(cell.random.between(200, 20_000)));
        await cell.expect(cell.publisher, 'disconnected');
        await cell.expect(cell.publisher, 'queued');
        await cell.recovered();
      }
    },
  },
  {
    name: 'lost-confirms',
    title: 'Confirms are lost: the broker stored it, the publisher never hears of it',
    short: ['plain'],
    worker: { confirmTimeout: 700 },
    copies: 2,
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.proxy.dropFromBroker(true));
      await cell.expect(cell.publisher, 'queued', 50);
      cell.check(cell.proxy.droppedBytes > 0, 'no confirm was dropped');
      cell.proxy.dropFromBroker(false);
      cell.proxy.reset();
      await cell.recovered();
      await cell.underLoad();
      await cell.publisher.tell({ do: 'stop-load' });
      const repeated = (): boolean => {
        const ends = cell.consumer.read().entries.filter(({ e }) => e === 'end') as { id: string }[];
        return new Set(ends.map(({ id }) => id)).size < ends.length;
      };
      await waitFor(repeated, 'a message that comes twice', 20_000);
    },
  },
];
