import { afterEach, expect, test } from '@jest/globals';
import { freePorts } from '../brokers/free-ports.js';
import { describeNatsNode, type NatsBroker } from '../brokers/nats.js';
import type { NatsServer } from '../brokers/nats/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications } from '../e2e/support/application.js';
import { problemsOf } from '../fault/checker.js';
import { now } from '../fault/journal.js';
import { startLoad } from './load.js';
import { closePlain, managerOf } from './plain.js';

/** Three servers by their names, with a leader. */
async function startCluster(nats: NatsBroker): Promise<Map<string, NatsServer>> {
  const ports = await freePorts(3);
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  const start = async (port: number, at: number): Promise<[string, NatsServer]> => {
    const cluster = `cluster: { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
    return [`n${at}`, await nats.start({ conf: [`server_name: n${at}`, cluster] })];
  };
  const servers = new Map(await Promise.all(ports.map(start)));
  // Without a leader nobody answers.
  const manager = await managerOf(urlsOf(servers)[0], { checkAPI: false, timeout: 200 });
  const hasLeader = (): Promise<boolean> =>
    manager.getAccountInfo().then(
      () => true,
      () => false,
    );
  await waitFor(hasLeader, 'a leader of the cluster');
  return servers;
}

function urlsOf(servers: ReadonlyMap<string, NatsServer>): string[] {
  return [...servers.values()].map(({ url }) => url);
}

describeNatsNode('in a cluster of three, under load', (nats) => {
  // Elections take their time: once is enough.
  const once = nats.newest ? test : test.skip;

  afterEach(async () => {
    await closeApplications();
    await closePlain();
  });

  once(
    'nothing is lost when the leader of the stream is killed, and comes back',
    async () => {
      const servers = await startCluster(nats);
      const load = await startLoad({ servers: urlsOf(servers), replicas: 3, syncAlways: false }, 500);
      await load.more(300);
      const { cluster } = await (await managerOf(urlsOf(servers)[0])).streams.info('events');
      await closePlain();
      const leader = servers.get(cluster!.leader!)!;
      const from = now();
      await leader.kill();
      await load.more(300);
      await leader.restart();
      await load.more(300);
      const result = await load.finish(from, now());
      expect(problemsOf(result, { duplicates: result.inFlight + 200, copies: 4 })).toEqual([]);
      expect(result.inFlight).toBeGreaterThan(0);
      expect(result.handled).toBeGreaterThanOrEqual(900);
      // An election takes up to 9 s.
    },
    60_000,
  );
});
