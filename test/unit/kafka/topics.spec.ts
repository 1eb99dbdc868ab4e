import { describe, expect, it } from '@jest/globals';
import type { Clock } from '../../../lib/clock/clock.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { KafkaLink, NewTopic, TopicPartitionOffset } from '../../../lib/transports/kafka/client-port.js';
import type { Link } from '../../../lib/transports/kafka/link.js';
import { Names } from '../../../lib/transports/kafka/names.js';
import { checkOptions } from '../../../lib/transports/kafka/options.js';
import { Topics } from '../../../lib/transports/kafka/topics.js';

/** A cluster whose topics have one partition, and which has nobody yet who knows of groups. */
class ScriptedCluster {
  readonly ends = new Map([['events', 7]]);
  readonly placed: (readonly TopicPartitionOffset[])[] = [];
  hasCoordinator = false;

  readonly link: Link;

  constructor() {
    const { ends, placed } = this;
    const client: Partial<KafkaLink> = {
      topics: async () => new Map([...ends.keys()].map((topic) => [topic, 1])),
      createTopics: async (topics: readonly NewTopic[]) => topics.forEach(({ topic }) => ends.set(topic, 0)),
      committed: async (_, topic) => {
        this.askCoordinator();
        return placed.flat().filter((place) => place.topic === topic);
      },
      since: async (topic, time) => [{ topic, partition: 0, offset: 7 + time }],
      place: async (_, offsets) => {
        this.askCoordinator();
        placed.push(offsets);
      },
    };
    this.link = { client: client as KafkaLink, topics: new Map(), answered: (work) => work };
  }

  private askCoordinator(): void {
    if (!this.hasCoordinator) throw new Error('nobody coordinates the group');
  }
}

const topology = { queue: 'orders:created:queue', topic: 'events', patterns: ['created'], provision: true };
const topicsOn = (clock: Clock): Topics => new Topics(checkOptions({}), new Names('events'), true, clock, () => {});

describe('where a group begins', () => {
  it('is the moment when the queue was first asked for, however long its place could not be written', async () => {
    const cluster = new ScriptedCluster();
    const clock = new ManualClock(100);
    const topics = topicsOn(clock);
    await expect(topics.make(cluster.link, topology)).rejects.toThrow('nobody coordinates the group');
    await clock.advance(1_000);
    cluster.hasCoordinator = true;
    await topics.make(cluster.link, topology);
    expect(cluster.placed).toEqual([
      [
        { topic: 'events', partition: 0, offset: 107 },
        { topic: 'events.queue.orders_3Acreated_3Aqueue', partition: 0, offset: 0 },
      ],
    ]);
  });

  it('is the beginning of a topic that was deleted and made again', async () => {
    const cluster = new ScriptedCluster();
    cluster.hasCoordinator = true;
    const topics = topicsOn(new ManualClock());
    await topics.make(cluster.link, topology);
    cluster.placed.length = 0;
    cluster.ends.set('events', 3);
    topics.forget(cluster.link, ['events']);
    cluster.ends.delete('events');
    await topics.make(cluster.link, topology);
    expect(cluster.placed).toEqual([]);
  });
});
