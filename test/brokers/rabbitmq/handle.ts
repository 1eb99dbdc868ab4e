import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'amqplib';
import { suspendProcess } from '../suspend.js';
import { diskLimit, memoryLimit, type RabbitPorts } from './configuration.js';
import { binary, type ErlangNode, evaluate, evaluateJson } from './erlang.js';

/** All that another process needs to reach a node. */
export interface RabbitDescription {
  version: string;
  pid: number;
  root: string;
  directory: string;
  cookie: string;
  ports: RabbitPorts;
  /** The certificate of a node with TLS, in PEM. */
  certificate?: string;
}

export interface RabbitConnection {
  /** The client's `connection_name`, or '' */
  name: string;
  vhost: string;
  channels: number;
}

/** A running node and the faults it can be made to have. */
export class RabbitHandle {
  protected suspended = false;

  constructor(protected readonly description: RabbitDescription) {}

  get version(): string {
    return this.description.version;
  }

  get port(): number {
    return this.description.ports.amqp;
  }

  get pid(): number {
    return this.description.pid;
  }

  get certificate(): string | undefined {
    return this.description.certificate;
  }

  url(vhost = '/'): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}/${encodeURIComponent(vhost)}`;
  }

  tlsUrl(vhost = '/'): string {
    return `amqps://guest:guest@127.0.0.1:${this.optionalPort('tls')}/${encodeURIComponent(vhost)}`;
  }

  managementUrl(): string {
    return `http://guest:guest@127.0.0.1:${this.optionalPort('management')}`;
  }

  /** Resolves when a client can connect. */
  async ready(): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        const connection = await connect(this.url(), { timeout: 5_000, noDelay: true });
        return await connection.close();
      } catch (error) {
        if (!this.isAlive()) throw new Error(`RabbitMQ ${this.version} ended while it started`, { cause: error });
        if (Date.now() > deadline) throw new Error(`RabbitMQ ${this.version} does not become ready`, { cause: error });
        await pause(25);
      }
    }
  }

  /** For JSON.stringify: what RabbitNode.attach takes. */
  toJSON(): RabbitDescription {
    return this.description;
  }

  /** Evaluates Erlang inside the node and gives the printed result. */
  eval(expressions: string): Promise<string> {
    return evaluate(this.erlang, expressions);
  }

  async createVhost(name = `test-${randomUUID()}`): Promise<string> {
    const vhost = binary(name);
    const all = binary('.*');
    await this.expectOk(`begin
      ok = rabbit_vhost:add(${vhost}, ${binary('test')}),
      rabbit_auth_backend_internal:set_permissions(
        ${binary('guest')}, ${vhost}, ${all}, ${all}, ${all}, ${binary('test')})
    end`);
    return name;
  }

  /** Begins to, and does not wait for it. */
  async deleteVhosts(names: readonly string[]): Promise<void> {
    const all = names.map(binary).join(', ');
    await this.eval(
      `spawn(fun() -> lists:foreach(fun(V) -> rabbit_vhost:delete(V, ${binary('test')}) end, [${all}]) end)`,
    );
  }

  connections(vhost?: string): Promise<RabbitConnection[]> {
    return evaluateJson(
      this.erlang,
      `[#{name => case rabbit_misc:table_lookup(Client, ${binary('connection_name')}) of
             {_, Name} -> Name; undefined -> <<>> end,
         vhost => Vhost, channels => Channels} ||
        [{vhost, Vhost}, {client_properties, Client}, {channels, Channels}] <-
          rabbit_networking:connection_info_all([vhost, client_properties, channels]), ${ofVhost(vhost)}]`,
    );
  }

  /** The broker closes its connections (320 CONNECTION_FORCED); gives how many. */
  closeConnections(reason = 'closed by a test', vhost?: string): Promise<number> {
    return this.endConnections(`rabbit_networking:close_connection(Pid, ${binary(reason)})`, vhost);
  }

  /** The connections are gone without a word (ECONNRESET); gives how many. */
  killConnections(vhost?: string): Promise<number> {
    return this.endConnections('exit(Pid, kill)', vhost);
  }

  /** New connections are refused. */
  async suspendListeners(): Promise<void> {
    await this.eval('rabbit_maintenance:suspend_all_client_listeners()');
  }

  async resumeListeners(): Promise<void> {
    await this.eval('rabbit_maintenance:resume_all_client_listeners()');
  }

  /** The whole broker blocks whoever publishes after this. */
  memoryAlarm(on: boolean): Promise<void> {
    const limit = on ? '0.0000001' : `{absolute, "${memoryLimit}"}`;
    return this.alarm('memory', on, `vm_memory_monitor:set_vm_memory_high_watermark(${limit})`);
  }

  /** The same for another reason. */
  diskAlarm(on: boolean): Promise<void> {
    const limit = on ? '1 bsl 60' : `"${diskLimit}"`;
    return this.alarm('disk', on, `rabbit_disk_monitor:set_disk_free_limit(${limit})`);
  }

  purge(vhost: string, queue: string): Promise<number> {
    return evaluateJson(
      this.erlang,
      `{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(${binary(vhost)}, queue, ${binary(queue)})),
       {ok, Count} = rabbit_amqqueue:purge(Queue), Count`,
    );
  }

  /** A quorum queue answers nobody, as one without a majority does; everything else on the node goes on. */
  async hangQueue(vhost: string, queue: string, on: boolean): Promise<void> {
    await this.expectOk(
      `begin
        {ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(${binary(vhost)}, queue, ${binary(queue)})),
        {Name, _} = amqqueue:get_pid(Queue),
        ok = sys:${on ? 'suspend' : 'resume'}(Name)
      end`,
    );
  }

  /** The node hangs: its sockets stay open and say nothing. */
  async suspend(): Promise<void> {
    this.suspended = true;
    await suspendProcess(this.pid);
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT');
    this.suspended = false;
  }

  protected isAlive(): boolean {
    try {
      return process.kill(this.pid, 0);
    } catch {
      return false;
    }
  }

  private get erlang(): ErlangNode {
    const { root, cookie, ports } = this.description;
    return { root, cookie, distributionPort: ports.distribution };
  }

  private optionalPort(name: 'tls' | 'management'): number {
    const port = this.description.ports[name];
    if (port === undefined) throw new Error(`The node was started without ${name}`);
    return port;
  }

  /** Asking for the alarms comes after every connection was told. */
  private async alarm(resource: string, on: boolean, change: string): Promise<void> {
    const alarms = await this.eval(`ok = ${change}, rabbit_alarm:get_alarms()`);
    if (alarms.includes(`resource_limit, ${resource}`) !== on) throw new Error(`After ${change}: ${alarms}`);
  }

  private async expectOk(expressions: string): Promise<void> {
    const result = await this.eval(expressions);
    if (result !== '{ok, ok}') throw new Error(`RabbitMQ ${this.version} answered ${result}`);
  }

  private endConnections(action: string, vhost?: string): Promise<number> {
    return evaluateJson(
      this.erlang,
      `length([${action} ||
        [{pid, Pid}, {vhost, Vhost}] <- rabbit_networking:connection_info_all([pid, vhost]), ${ofVhost(vhost)}])`,
    );
  }
}

function ofVhost(vhost: string | undefined): string {
  return vhost === undefined ? 'is_binary(Vhost)' : `Vhost =:= ${binary(vhost)}`;
}
