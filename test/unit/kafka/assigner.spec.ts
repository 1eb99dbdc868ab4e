import { describe, expect, it } from '@jest/globals';
import type { Cluster } from 'kafkajs';
import * as kafkajs from 'kafkajs';
import { alongPartitions } from '../../../lib/transports/kafka/assigner.js';
import { Names } from '../../../lib/transports/kafka/names.js';

/** What members get of a cluster with these topics, when a client that knows of its own alone assigns them. */
async function assigned(partitions: Record<string, number>, own: string[], members: Record<string, string[]>) {
  const known = new Set(own);
  const cluster = {
    addMultipleTargetTopics: async (topics: string[]) => topics.forEach((topic) => known.add(topic)),
    findTopicPartitionMetadata: (topic: string) =>
      Array.from({ length: known.has(topic) ? partitions[topic] : 0 }, (_, partitionId) => ({ partitionId })),
  } as unknown as Cluster;
  const assigner = alongPartitions(kafkajs)({ cluster });
  const given = await assigner.assign({
    members: Object.entries(members).map(([memberId, topics]) => {
      return { memberId, memberMetadata: assigner.protocol({ topics }).metadata };
    }),
    topics: own,
  });
  const decode = (bytes: Buffer) => ({ ...kafkajs.AssignerProtocol.MemberAssignment.decode(bytes)!.assignment });
  return Object.fromEntries(given.map(({ memberId, memberAssignment }) => [memberId, decode(memberAssignment)]));
}

describe('partitions of a group', () => {
  it('are all given to somebody, also those of topics that the member which assigns does not read', async () => {
    const members = { a: ['staging'], b: ['prod'] };
    expect(await assigned({ staging: 2, prod: 2 }, ['staging'], members)).toEqual({
      a: { staging: [0, 1] },
      b: { prod: [0, 1] },
    });
  });

  it('of one number go to the same member in all topics that it reads', async () => {
    const members = { a: ['events', 'queue'], b: ['events', 'queue'] };
    expect(await assigned({ events: 3, queue: 2 }, ['events', 'queue'], members)).toEqual({
      a: { events: [0, 2], queue: [0] },
      b: { events: [1], queue: [1] },
    });
  });

  it('are not shared with a queue of the same name of an application with another topic', () => {
    expect(new Names('staging').group('orders')).not.toBe(new Names('prod').group('orders'));
  });
});
