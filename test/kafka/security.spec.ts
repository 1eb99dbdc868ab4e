import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { type KafkaOptions, kafka } from 'nestjs-messaging/kafka';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { withAdmin } from './admin.js';

jest.setTimeout(120_000);

const secret = 'planted/pass word';

/** TLS, SCRAM, and a user who may do what begins with `allowed` and `safe`. */
describeKafka(
  'a broker that asks who somebody is',
  (broker) => {
    let server: KafkaServer;
    let ca: string;

    beforeAll(async () => {
      const user = { name: 'ada', password: secret, scram: true };
      server = await broker.start({ user, tls: true, authorizes: true });
      ca = await server.certificate();
      const allow = (resourceType: AclResourceTypes, resourceName: string) => ({
        resourceType,
        resourceName,
        resourcePatternType: ResourcePatternTypes.PREFIXED,
        principal: 'User:ada',
        host: '*',
        operation: AclOperationTypes.ALL,
        permissionType: AclPermissionTypes.ALLOW,
      });
      const { TOPIC, GROUP } = AclResourceTypes;
      await withAdmin(server, (admin) => admin.createAcls({ acl: [allow(TOPIC, 'allowed'), allow(GROUP, 'allowed')] }));
    });
    afterEach(closeApplications);

    const start = (topic: string, { password = secret, ...more }: KafkaOptions & { password?: string } = {}) =>
      boot({
        imports: [
          MessagingModule.forRoot({
            service: 'safe',
            transport: kafka({
              brokers: `kafkas://ada:${encodeURIComponent(password)}@127.0.0.1:${server.port}`,
              mechanism: 'scram-sha-512',
              topic,
              partitions: 1,
              options: { ssl: { ca } },
              ...more,
            }),
          }),
        ],
      });

    test('lets in by SCRAM over TLS who has the password, and rights on what begins with the topic', async () => {
      const { messaging, get } = await start('allowed');
      const seen: string[] = [];
      await messaging.subscribe({ route: 'done' }, async (_, { id }) => void seen.push(id));
      await get(Publisher).publish('done', {}, { id: 'one' });
      await waitFor(() => seen.length > 0, 'the message');
      expect(seen).toEqual(['one']);
    });

    test('refuses a wrong password: the application does not start, and the error does not show it', async () => {
      const error = await start('allowed', { password: `wrong ${secret}` }).then(
        () => undefined,
        (e: Error) => e,
      );
      expect(error).toMatchObject({ code: 'BROKER_CONFIGURATION' });
      expect(error!.message).toContain('refuses the credentials');
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toMatch(/planted/);
    });

    test('a topic that the user has no right to is a clear error, of a publish as of a subscription', async () => {
      const { messaging, get } = await start('allowed');
      const published = get(Publisher).publish('done', {}, { topic: 'forbidden' });
      await expect(published).rejects.toMatchObject({ code: 'BROKER_CONFIGURATION', message: /not allow.*uthoriz/ });
      const subscribed = messaging.subscribe({ route: 'done', topic: 'forbidden', name: 'other' }, async () => {});
      await expect(subscribed).rejects.toMatchObject({ code: 'BROKER_CONFIGURATION' });
    });

    test('a certificate that nobody vouches for is why there is no connection, in health, without the password', async () => {
      const { messaging }: Application = await start('allowed', { options: {} });
      const { connection } = messaging.health();
      expect(connection.state).not.toBe('connected');
      expect(JSON.stringify(messaging.health())).toMatch(/certificate/);
      expect(JSON.stringify(messaging.health())).not.toMatch(/planted/);
    });
  },
  { own: true },
);
