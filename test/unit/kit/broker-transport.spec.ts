import { describe, expect, it } from '@jest/globals';
import { PublishFailedError } from '../../../lib/errors/publish-errors.js';
import { CONFIRMED, type Outgoing } from '../../../lib/transport/outgoing.js';
import type { PublishDone, TransportSubscription } from '../../../lib/transport/transport.js';
import { BrokerTransport } from '../../../lib/transports/kit/broker-transport.js';
import { type Link, ScriptedBroker } from './scripted-broker.js';

class ScriptedTransport extends BrokerTransport<ScriptedBroker, Link> {
  readonly system = 'scripted';
  readonly host = 'here';
  readonly capabilities = {} as never;
  readonly told: string[] = [];
  refusal?: Error;

  constructor(readonly scripted = new ScriptedBroker()) {
    super('Broker');
  }

  async declare(): Promise<void> {}

  native(): unknown {
    return this;
  }

  question(ask: (link: Link) => Promise<unknown>): Promise<unknown> {
    return this.ask(ask);
  }

  protected assemble(): ScriptedBroker {
    this.told.push('assemble');
    return this.scripted;
  }

  protected override async start({ connection }: ScriptedBroker): Promise<void> {
    if (this.refusal) throw this.refusal;
    await connection.start();
  }

  protected send(_: ScriptedBroker, batch: readonly Outgoing[], done: PublishDone): void {
    for (const outgoing of batch) queueMicrotask(() => done(outgoing, CONFIRMED));
  }

  protected async consume(): Promise<TransportSubscription> {
    return {} as TransportSubscription;
  }

  protected override beginForwarding(): void {
    this.told.push('forward');
  }

  protected async ping({ number }: Link): Promise<void> {
    this.told.push(`ping ${number}`);
  }

  protected async end({ connection }: ScriptedBroker): Promise<void> {
    this.told.push('end');
    await connection.close();
  }
}

const connect = (transport: ScriptedTransport): Promise<void> => transport.connect(transport.scripted.environment);
const outgoing = {} as Outgoing;

/** What becomes of a publish, never from within the call. */
function publish(transport: ScriptedTransport): Promise<string> {
  return new Promise((resolve) => {
    let within = true;
    transport.publish([outgoing], (one, result) => {
      expect([one === outgoing, within]).toEqual([true, false]);
      resolve(result.status === 'failed' ? result.error.message : result.status);
    });
    within = false;
  });
}

describe('a transport', () => {
  it('is connected once', async () => {
    const transport = new ScriptedTransport();
    await connect(transport);
    await connect(transport);
    expect(transport.told).toEqual(['assemble']);
  });

  it('is closed once, and not connected after that', async () => {
    const transport = new ScriptedTransport();
    await connect(transport);
    await Promise.all([transport.close(), transport.close()]);
    await transport.close();
    expect(transport.told).toEqual(['assemble', 'end']);
    await expect(connect(transport)).rejects.toMatchObject({ message: 'Not connected to Broker: closed' });
    const unused = new ScriptedTransport();
    await unused.close();
    expect(unused.told).toEqual([]);
  });

  it('that cannot start is closed', async () => {
    const transport = new ScriptedTransport();
    transport.refusal = new Error('wrong password');
    await expect(connect(transport)).rejects.toBe(transport.refusal);
    expect(transport.told).toEqual(['assemble', 'end']);
  });

  it('fails what is published before and after, and tells it apart', async () => {
    const transport = new ScriptedTransport();
    expect(await publish(transport)).toBe('Not connected to Broker: connect() was not called');
    await connect(transport);
    expect(await publish(transport)).toBe('confirmed');
    await transport.close();
    expect(await publish(transport)).toBe('Not connected to Broker: closed');
  });

  it('looks after what is due as soon as it consumes, and not while it closes', async () => {
    const transport = new ScriptedTransport();
    await expect(transport.subscribe({} as never, {} as never)).rejects.toThrow('connect() was not called');
    await connect(transport);
    await transport.subscribe({} as never, {} as never);
    expect(transport.told).toEqual(['assemble', 'forward']);
    await transport.close();
    await transport.subscribe({} as never, {} as never);
    expect(transport.told).toEqual(['assemble', 'forward', 'end']);
  });
});

describe('asking the broker', () => {
  it('takes the link that is open', async () => {
    const transport = new ScriptedTransport();
    await connect(transport);
    await transport.probe();
    expect(transport.told).toEqual(['assemble', 'ping 1']);
  });

  it('is refused without one, with why there is none', async () => {
    const transport = new ScriptedTransport();
    await expect(transport.probe()).rejects.toThrow('Not connected to Broker: connect() was not called');
    await connect(transport);
    transport.scripted.cut();
    await expect(transport.probe()).rejects.toThrow('Not connected to Broker: the cable was cut');
  });

  it('an error of the client becomes ours, without secrets; one of ours stays what it is', async () => {
    const transport = new ScriptedTransport();
    await connect(transport);
    const failing = (error: Error) => transport.question(() => Promise.reject(error));
    await expect(failing(new Error('secret no'))).rejects.toMatchObject({
      code: 'NOT_CONNECTED',
      message: 'Broker did not answer: *** no',
    });
    const own = new PublishFailedError('own');
    await expect(failing(own)).rejects.toBe(own);
  });
});
