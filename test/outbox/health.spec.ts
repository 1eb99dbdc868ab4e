import { Controller, Get, type INestApplication } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { memory, MessagingModule } from 'nestjs-messaging';
import { OutboxHealthIndicator } from 'nestjs-messaging/health';
import { Outbox, OutboxModule } from 'nestjs-messaging/outbox';
import { describePostgresNode } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly outbox: OutboxHealthIndicator,
  ) {}

  @Get('ready')
  @HealthCheck()
  ready() {
    return this.health.check([
      () => this.outbox.isHealthy('outbox'),
      () => this.outbox.isHealthy('second', { connection: 'second' }),
    ]);
  }

  @Get('live')
  @HealthCheck()
  live() {
    return this.health.check([() => this.outbox.isHealthy('outbox', { for: 'liveness' })]);
  }
}

describePostgresNode('the Terminus indicator of the outbox', (postgres) => {
  let app: INestApplication | undefined;
  const clients: Client[] = [];
  afterEach(async () => {
    await app?.close();
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
  });

  test('tells what waits, for how long, behind whom, and whether it is sent; down with its database, alive all the same', async () => {
    if (!postgres.newest) return;
    const server = await postgres.start();
    const url = await server.createDatabase();
    const connected = async (): Promise<Client> => {
      const client = clients[clients.push(new Client({ connectionString: url })) - 1];
      client.on('error', () => undefined);
      await client.connect();
      return client;
    };
    const broker = { transport: memory(), service: 'shop' };
    const module = await Test.createTestingModule({
      imports: [
        MessagingModule.forRoot(broker),
        MessagingModule.forRoot({ ...broker, connection: 'second' }),
        OutboxModule.forRoot({ url, order: 'transaction', pollInterval: 20 }),
        OutboxModule.forRoot({ url, connection: 'second', relay: false }),
        TerminusModule.forRoot({ logger: false }),
      ],
      controllers: [HealthController],
      providers: [OutboxHealthIndicator],
    })
      .setLogger(false as never)
      .compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    const base = await app.getUrl();
    const ask = async (what: string) => {
      const response = await fetch(`${base}/health/${what}`);
      return { code: response.status, ...((await response.json()) as { details: Record<string, any> }) };
    };
    const outbox = app.get(Outbox);
    await waitFor(async () => (await ask('ready')).details.outbox.depth === 0, 'a count');
    expect((await ask('ready')).details).toMatchObject({
      outbox: { status: 'up', state: 'up', relay: 'running', depth: 0, parked: 0 },
      second: { status: 'up', relay: 'off' },
    });

    const holder = await connected();
    await holder.query(`set application_name = 'a long report'`);
    await holder.query('begin');
    await holder.query('select pg_current_xact_id()');
    const adder = await connected();
    await adder.query('begin');
    await outbox.add(adder, 'order.created', {});
    await adder.query('commit');
    await adder.query('select pg_sleep(1.1)');
    await outbox.retryParked([]);
    const held = await ask('ready');
    expect(held.code).toBe(200);
    expect(held.details.outbox).toMatchObject({
      depth: 1,
      oldestAgeMs: expect.any(Number),
      heldBy: { owner: expect.stringContaining('a long report'), ageMs: expect.any(Number) },
    });
    expect(held.details.outbox.oldestAgeMs).toBeGreaterThanOrEqual(1_000);

    await server.kill();
    await waitFor(() => outbox.health().status === 'down', 'down', 10_000);
    expect((await ask('ready')).code).toBe(503);
    const away = await ask('ready');
    expect(away.details.outbox).toMatchObject({ status: 'down', reason: expect.stringContaining('The database at') });
    expect(JSON.stringify(away)).not.toContain(new URL(url).password);
    expect(await ask('live')).toMatchObject({ code: 200, details: { outbox: { status: 'up', state: 'down' } } });
    await server.restart();
    await waitFor(async () => (await ask('ready')).code === 200, 'ready again', 30_000);
  });

  test('says where there is no outbox of that connection', async () => {
    const module = await Test.createTestingModule({
      imports: [TerminusModule.forRoot({ logger: false })],
      providers: [OutboxHealthIndicator],
    })
      .setLogger(false as never)
      .compile();
    expect(() => module.get(OutboxHealthIndicator).isHealthy('outbox', { connection: 'other' })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('OutboxModule') }),
    );
  });
});
