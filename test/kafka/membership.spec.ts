import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import kafkajs from 'kafkajs';
import { systemClock } from '../../lib/clock/clock.js';
import { alongPartitions } from '../../lib/transports/kafka/assigner.js';
import type { GroupMember, KafkaLink, MemberHandlers } from '../../lib/transports/kafka/client-port.js';
import { KafkajsClient } from '../../lib/transports/kafka/kafkajs.js';
import { freePorts } from '../brokers/free-ports.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { plain } from './admin.js';

jest.setTimeout(120_000);

/** The beginning of a SyncGroup request: its number, its version, and the number of the request. */
const SYNC = Buffer.from([0, 14, 0, 3, 0, 0]);
/** In both of two partitions. */
const KEYS = Array.from({ length: 20 }, (_, at) => `key-${at}`);

/** What becomes of a member when its group is rebalanced and something goes wrong. */
describeKafka(
  'a member of a group',
  (broker) => {
    let server: KafkaServer;
    let proxy: Proxy;
    let link: KafkaLink;

    beforeAll(async () => {
      const [port] = await freePorts(1);
      proxy = await Proxy.start(port);
      server = await broker.start({ port, advertised: `127.0.0.1:${proxy.port}` });
      const config = { brokers: [`127.0.0.1:${proxy.port}`], requestTimeout: 15_000 };
      const client = new KafkajsClient({ config, clock: systemClock, sessionTimeout: 30_000 });
      await waitFor(async () => (link ??= await client.open(() => {})) !== undefined, 'a link', 60_000);
    });
    afterAll(async () => {
      await link?.end();
      await proxy?.close();
    });

    /** With what it was told. */
    async function join(
      topic: string,
    ): Promise<{ member: GroupMember; partitions: () => number; bodies: Set<string> }> {
      let partitions = 0;
      const bodies = new Set<string>();
      const handlers: MemberHandlers = {
        assigned: (given) => void (partitions = given.length),
        records: (_, records) => records.forEach(({ value }) => bodies.add(String(value))) as undefined,
        ended: () => {},
      };
      let member: GroupMember | undefined;
      // A new cluster has nobody yet who knows of groups.
      const joined = (): Promise<GroupMember | undefined> =>
        link.join({ group: topic, topics: [topic], maxBytes: 2 ** 20 }, handlers).catch(() => undefined);
      await waitFor(async () => (member ??= await joined()) !== undefined, 'a member', 60_000);
      return { member: member!, partitions: () => partitions, bodies };
    }

    test('reads all of its partitions although it never heard which ones they are', async () => {
      await link.createTopics([{ topic: 'unheard', partitions: 2, replicas: 1, config: {} }]);
      const [one, other] = [await join('unheard'), await join('unheard')];
      await waitFor(() => one.partitions() === 1, 'one partition each', 30_000);
      proxy.dropFromBrokerAfter(SYNC);
      await other.member.leave();
      await waitFor(() => proxy.droppedBytes > 0, 'an answer that is lost', 30_000);
      proxy.dropFromBrokerAfter(undefined);
      proxy.reset();
      const records = KEYS.map((key) => ({ key, value: key }));
      const producer = plain(server).producer();
      await producer.connect();
      await producer.send({ topic: 'unheard', messages: records });
      await producer.disconnect();
      await waitFor(() => one.bodies.size === KEYS.length, 'what is in both partitions', 60_000);
      expect(one.partitions()).toBe(2);
      await one.member.leave();
    });

    test('has left although another one keeps the group from going on', async () => {
      await link.createTopics([{ topic: 'kept', partitions: 2, replicas: 1, config: {} }]);
      const { member, partitions } = await join('kept');
      let release!: () => void;
      const released = new Promise<void>((resolve) => (release = resolve));
      let isKept = false;
      const slow = plain(server).consumer({
        groupId: 'kept',
        partitionAssigners: [alongPartitions(kafkajs)],
        sessionTimeout: 60_000,
      });
      await slow.connect();
      await slow.subscribe({ topics: ['kept'], fromBeginning: true });
      const eachBatch = (): Promise<void> => {
        isKept = true;
        return released;
      };
      await slow.run({ autoCommit: false, eachBatch });
      await waitFor(() => partitions() === 1, 'one partition each', 30_000);
      await link.produce(KEYS.map((key) => ({ topic: 'kept', key, value: Buffer.from(key), headers: {} })));
      await waitFor(() => isKept, 'a handler that takes long', 30_000);
      await link.topics();
      const members = async (): Promise<number> => (await link.groups(['kept'])).get('kept')!.members;
      const third = join('kept');
      await waitFor(async () => (await members()) === 3, 'somebody who wants to join', 30_000);
      const state = async (): Promise<string> => (await link.groups(['kept'])).get('kept')!.state;
      const isJoining = (): boolean => (member as unknown as { readonly isJoining: boolean }).isJoining;
      await waitFor(isJoining, 'the member to join again', 30_000);
      expect(await state()).toBe('PreparingRebalance');
      await member.leave();
      expect([await members(), await state()]).toEqual([2, 'PreparingRebalance']);
      release();
      await (await third).member.leave();
      await slow.disconnect();
    });
  },
  { own: true },
);
