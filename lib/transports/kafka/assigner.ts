import type * as Kafkajs from 'kafkajs';
import type { Assigner, Cluster, GroupMember } from 'kafkajs';

/**
 * Gives partition 3 of each topic of a group to one member, so that what a key has in several topics (by its route, by the
 * queue's name) is handled in one process. Kafkajs' own way deals them out one by one, and to members that do not read the
 * topic as well.
 */
export function alongPartitions(
  { AssignerProtocol }: Pick<typeof Kafkajs, 'AssignerProtocol'>,
  /** The member asks to join. */
  joins: () => void = () => {},
) {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol;
  const name = 'nestjs-messaging';
  const version = 1;
  return ({ cluster }: { cluster: Cluster }): Assigner => ({
    name,
    version,
    protocol({ topics }) {
      joins();
      return { name, metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }) };
    },
    // Kafkajs gives it the topics of the member that assigns, and knows the partitions of those alone.
    async assign({ members }) {
      const readers = membersOf(members, (metadata) => MemberMetadata.decode(metadata)?.topics ?? []);
      const assignments = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
      await cluster.addMultipleTargetTopics([...readers.keys()]);
      for (const [topic, ids] of readers) {
        for (const { partitionId } of cluster.findTopicPartitionMetadata(topic))
          (assignments.get(ids[partitionId % ids.length])![topic] ??= []).push(partitionId);
      }
      return [...assignments].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
      }));
    },
  });
}

/** Who reads each topic, by their ids. */
function membersOf(
  members: readonly GroupMember[],
  topicsIn: (metadata: Buffer) => readonly string[],
): Map<string, string[]> {
  const readers = new Map<string, string[]>();
  for (const { memberId, memberMetadata } of [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1)))
    for (const topic of topicsIn(memberMetadata)) readers.set(topic, [...(readers.get(topic) ?? []), memberId]);
  return readers;
}
