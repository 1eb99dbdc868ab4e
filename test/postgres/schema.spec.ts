import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { TopologyMismatchError } from 'nestjs-messaging';
import { ensureSchema, postgresSchema } from 'nestjs-messaging/postgres';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeTransports, PlainTransport, queueOf } from './client.js';

describePostgres('the tables', (postgres) => {
  const clients: Client[] = [];
  afterEach(async () => {
    await closeTransports();
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });

  async function open(): Promise<{ url: string; client: Client }> {
    const url = await postgres.url();
    const client = new Client({ connectionString: url });
    clients.push(client);
    await client.connect();
    return { url, client };
  }

  test('are made once, by whoever comes first of many', async () => {
    const { url, client } = await open();
    const schema = 'made_once';
    const processes = await Promise.all(Array.from({ length: 8 }, () => PlainTransport.connect({ url, schema })));
    for (const { events } of processes) expect(events).toEqual([{ type: 'connected' }]);
    expect((await client.query(`select version from ${schema}.version`)).rows).toEqual([{ version: 1 }]);
    await ensureSchema(client, schema);
  });

  test('with provision: false, are asked for with the SQL that makes them, which a migration can run', async () => {
    const { url, client } = await open();
    const schema = 'by_hand';
    const connecting = PlainTransport.connect({ url, schema }, { provision: false });
    await expect(connecting).rejects.toThrow(TopologyMismatchError);
    await expect(connecting).rejects.toThrow(/no tables in the schema «by_hand».*postgresSchema\('by_hand'\)/);
    await client.query(postgresSchema(schema));
    await PlainTransport.connect({ url, schema }, { provision: false });
  });

  test('are made by a role that owns the schema and may make none', async () => {
    const { url, client } = await open();
    const owner = `owner_${new URL(url).pathname.slice(1)}`;
    await client.query(`create role ${owner} login password 'own'`);
    await client.query(`create schema owned authorization ${owner}`);
    const own = Object.assign(new URL(url), { username: owner, password: 'own' }).href;
    await PlainTransport.connect({ url: own, schema: 'owned' });
    expect((await client.query('select version from owned.version')).rows).toEqual([{ version: 1 }]);
  });

  test('of another version are refused, with what to do', async () => {
    const { url, client } = await open();
    const schema = 'newer';
    await ensureSchema(client, schema);
    await client.query(`update ${schema}.version set version = 2`);
    for (const provision of [true, false]) {
      const connecting = PlainTransport.connect({ url, schema }, { provision });
      await expect(connecting).rejects.toThrow(TopologyMismatchError);
      await expect(connecting).rejects.toThrow(/«newer» are of version 2, this package needs 1.*migration/);
    }
    await expect(ensureSchema(client, schema)).rejects.toThrow(/of version 2/);
  });

  test('are made again where somebody has dropped them', async () => {
    const { url, client } = await open();
    const schema = 'dropped';
    const transport = await PlainTransport.connect({ url, schema });
    await transport.transport.declare(queueOf('q'));
    await client.query(`drop schema ${schema} cascade`);
    await waitFor(async () => (await transport.publish(transport.toQueue('q')))[0] === 'confirmed');
  });

  test('of two schemas in one database know nothing of each other', async () => {
    const { url } = await open();
    const [one, two] = [
      await PlainTransport.connect({ url, schema: 'one' }),
      await PlainTransport.connect({ url, schema: 'two' }),
    ];
    await one.transport.declare(queueOf('q'));
    expect(await two.publish(two.toQueue('q'))).toEqual(['unroutable']);
    expect(await one.publish(one.toQueue('q'))).toEqual(['confirmed']);
  });

  test('take no value of a message for SQL', async () => {
    const { url, client } = await open();
    const transport = await PlainTransport.connect({ url });
    const evil = `'); drop schema messaging cascade; --"\\`;
    await transport.transport.declare({ ...queueOf(evil), patterns: [`${evil}.*`], topic: evil });
    const sent = transport.message({ id: evil, route: `${evil}.x`, headers: { [evil]: evil, 'messaging-key': evil } });
    const to = { kind: 'route', topic: evil, route: `${evil}.x` } as const;
    const outgoing = { to, message: sent, dedupeId: evil, mandatory: true };
    expect(await transport.publish(outgoing)).toEqual(['confirmed']);
    let received: unknown;
    await transport.consume(queueOf(evil), 1, ({ message, ...delivery }) => {
      received = message;
      void delivery;
    });
    await waitFor(() => received !== undefined);
    expect(received).toMatchObject({ id: evil, route: `${evil}.x`, headers: { [evil]: evil } });
    expect((await client.query('select count(*) from messaging.version')).rows).toHaveLength(1);
  });

  test('take every text: with zeros, quotes and half a pair of surrogates; a zero in a name is refused alone', async () => {
    const { url } = await open();
    const transport = await PlainTransport.connect({ url });
    await transport.transport.declare(queueOf('q'));
    const texts = ['a\0b', '"', "'", '\\', '\ud800', '\u2028', '{"$":["date"]}', ''];
    const batch = texts.map((text, n) => transport.toQueue('q', { id: `${n}\0`, headers: { text } }));
    expect(await transport.publish(...batch, transport.toQueue('q\0'))).toEqual([
      ...texts.map(() => 'confirmed'),
      'refused',
    ]);
    const received: unknown[] = [];
    await transport.consume(queueOf('q'), 100, ({ message }) => received.push([message.id, message.headers.text]));
    await waitFor(() => received.length === texts.length);
    expect(received).toEqual(texts.map((text, n) => [`${n}\0`, text]));
  });
});
