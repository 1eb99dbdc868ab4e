import { inspect } from 'node:util';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { BrokerConfigurationError } from '../../lib/errors/configuration-errors.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Client, topologyOf, toRoute } from './client.js';

const PASSWORD = 'planted/p@ss wörd%';

describeRabbit('connection', (rabbit) => {
  let url: string;
  const clients: Client[] = [];
  const client = (target: string | URL, options?: ConstructorParameters<typeof Client>[1]): Client => {
    const made = new Client(String(target), options);
    clients.push(made);
    return made;
  };
  const changed = (parts: Partial<URL>): URL => Object.assign(new URL(url), parts);

  beforeAll(async () => void (url = await rabbit.freshVhostUrl()), 60_000);
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((one) => one.close()));
  });

  it('refused credentials reject connect, and no error or event shows them', async () => {
    const refused = client(changed({ username: 'somebody', password: encodeURIComponent(PASSWORD) }));
    const error = await refused.transport.connect(refused.environment).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BrokerConfigurationError);
    expect((error as Error).message).toContain('refuses the credentials');
    expectNoSecret(error, refused.events, refused.transport);
  });

  it('a virtual host that does not exist rejects connect and is named', async () => {
    const refused = client(changed({ pathname: '/no-such-vhost' }));
    const error = await refused.transport.connect(refused.environment).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BrokerConfigurationError);
    expect((error as Error).message).toContain('«no-such-vhost»');
  });

  it('an unreachable broker does not reject connect; publishing fails meanwhile, and the reason shows no password', async () => {
    const proxy = await Proxy.start(url);
    await proxy.refuse(true);
    const target = new URL(proxy.url(url));
    target.search = '?heartbeat=5';
    const waiting = client(target);
    await waiting.transport.connect(waiting.environment);
    expect(waiting.events).toMatchObject([{ type: 'disconnected' }]);
    expect((await waiting.publish(toRoute('any', '1')))[0]).toMatchObject({
      status: 'failed',
      error: { code: 'NOT_CONNECTED' },
    });
    await proxy.refuse(false);
    await waitFor(() => waiting.count('connected') === 1, 'connected');
    await waiting.close();
    await proxy.close();
  });

  it('a wrong password met on a reconnect is tried again, not given up', async () => {
    const node = rabbit.node;
    if (!node) return;
    await node.eval(user('changing', PASSWORD_OLD, vhostOf(url)));
    const proxy = await Proxy.start(url);
    const one = client(
      new URL(Object.assign(new URL(proxy.url(url)), { username: 'changing', password: PASSWORD_OLD }).href),
    );
    await one.transport.connect(one.environment);
    await node.eval(`rabbit_auth_backend_internal:change_password(<<"changing">>, <<"other">>, <<"test">>)`);
    proxy.reset();
    await waitFor(() => one.warnings().some((text) => text.includes('Cannot connect')), 'a warning');
    expectNoSecret(one.events);
    await node.eval(`rabbit_auth_backend_internal:change_password(<<"changing">>, <<"${PASSWORD_OLD}">>, <<"test">>)`);
    await waitFor(() => one.count('connected') === 2, 'connected again');
    await one.close();
    await proxy.close();
  });

  it('nothing that can be inspected or serialised shows the password', async () => {
    const secret = client(changed({ username: 'guest', password: 'guest' }), { rabbitmq: { connectionName: 'named' } });
    await secret.transport.connect(secret.environment);
    const other = client(changed({ password: encodeURIComponent(PASSWORD) }));
    expectNoSecret(other.transport);
    expect(secret.transport.host).toBe(`${new URL(url).host}/${vhostOf(url)}`);
    if (rabbit.node) {
      const names = (await rabbit.node.connections(vhostOf(url))).map(({ name }) => name);
      expect(names.sort()).toEqual(expect.arrayContaining(['named (consuming)', 'named (publishing)']));
    }
  });

  it('several URLs are tried in turn', async () => {
    const second = new Client(url, {});
    const { rabbitmq } = await import('../../lib/transports/rabbitmq/rabbitmq.js');
    const transport = rabbitmq({ urls: ['amqp://127.0.0.1:1', url], exchange: 'events' }).create();
    await transport.connect(second.environment);
    expect(second.count('connected')).toBe(1);
    expect(transport.host).toBe(`${new URL(url).host}/${vhostOf(url)}`);
    await transport.close();
  });

  it('close does not wait for a broker that is silent', async () => {
    const proxy = await Proxy.start(url);
    const hung = client(proxy.url(url));
    await hung.transport.connect(hung.environment);
    await hung.consume(topologyOf('hung'));
    proxy.stall();
    // The proxy stays silent for ever: a close that waits for it does not end.
    await hung.close();
    await proxy.close();
  });

  it('a half-open connection is noticed by its heartbeat, and everything comes back', async () => {
    const proxy = await Proxy.start(url);
    const one = client(proxy.url(url), { rabbitmq: { heartbeat: 1 } });
    await one.transport.connect(one.environment);
    const consumer = await one.consume(topologyOf('half-open'));
    proxy.stall();
    await waitFor(() => one.count('disconnected') === 1, 'disconnected');
    proxy.resume();
    await one.insist(toRoute('half-open', '1'));
    await consumer.received(1);
    await one.close();
    await proxy.close();
  }, 20_000);
});

describeRabbitNode('connection, TLS', (rabbit) => {
  it('connects with the right CA; an unknown one is a misconfiguration', async () => {
    const node = await rabbit.start({ tls: true });
    const good = await Client.connect(node.tlsUrl(), { rabbitmq: { tls: { ca: node.certificate } } });
    await waitFor(() => good.count('connected') === 1, 'connected');
    await good.close();
    const bad = new Client(node.tlsUrl());
    await expect(bad.transport.connect(bad.environment)).rejects.toThrow(/TLS failed/);
  }, 60_000);
});

const PASSWORD_OLD = 'planted-old-password';

function vhostOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

function user(name: string, password: string, vhost: string): string {
  return `begin
    rabbit_auth_backend_internal:add_user(<<"${name}">>, <<"${password}">>, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(<<"${name}">>, <<"${vhost}">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>) end`;
}

function expectNoSecret(...values: unknown[]): void {
  for (const value of values) {
    const texts = [inspect(value, { depth: 12, showHidden: true }), JSON.stringify(value) ?? ''];
    if (value instanceof Error) texts.push(value.message, value.stack ?? '', inspect(value.cause));
    for (const text of texts)
      for (const part of ['planted', encodeURIComponent(PASSWORD), PASSWORD, 'somebody'])
        expect(text.includes(part)).toBe(false);
  }
}
