import { randomUUID } from 'node:crypto';
import {
  type HarnessFaults,
  type HarnessOverrides,
  type HarnessPeer,
  POISON,
  type TransportHarness,
} from 'nestjs-messaging/testing';
import { systemClock } from '../../lib/clock/clock.js';
import type { TransportCapabilities } from '../../lib/transport/capabilities.js';
import type { Transport } from '../../lib/transport/transport.js';
import { Proxy } from '../brokers/proxy.js';

/** The password of the transports where the broker is one of this run, unmistakable where it shows. */
export const secret = `planted-${randomUUID()}`;

/** A reconnect policy that leaves no time to fall asleep. */
export const eager = { initial: 20, max: 200, jitter: 0.2 };

/** Of a transport whose broker is real, and so is its time. */
export function environmentOfBroker(): ReturnType<TransportHarness['environment']> {
  return {
    clock: systemClock,
    service: 'contract',
    random: Math.random,
    reconnect: eager,
    confirmTimeout: 5_000,
    provision: true,
  };
}

/** What is known of a broker before it is there. */
export interface ProxiedBroker {
  readonly name: string;
  /** The broker is one of this run: the transports log in with `secret`. */
  readonly ours: boolean;
  /** What the broker says before it ends a connection over what it cannot read. */
  readonly lastWords: Buffer;
}

/** A broker for the contract, reached by transports through a proxy that has the faults, and by a plain client directly. */
export abstract class ProxiedHarness implements TransportHarness {
  abstract readonly capabilities: TransportCapabilities;
  abstract readonly faults: HarnessFaults;
  abstract readonly peer: HarnessPeer;
  readonly listsQueues: boolean = true;
  readonly replies: boolean = false;
  readonly provisioning: boolean = false;
  readonly name: string;
  readonly secret?: string;
  readonly misconfigured?: () => Transport;
  /** Those that any broker behind a proxy has. */
  protected readonly proxied: HarnessFaults;
  readonly environment = environmentOfBroker;
  private proxy!: Proxy;
  private url!: string;

  protected constructor({ name, ours, lastWords }: ProxiedBroker) {
    this.name = name;
    if (ours) {
      this.secret = secret;
      this.misconfigured = () => this.transport(this.reached(`wrong-${secret}`), {});
    }
    this.proxied = {
      disconnect: async () => void this.proxy.reset(),
      refuse: (on) => this.proxy.refuse(on),
      dropConfirms: async (on) => this.dropConfirms(on),
      poison: async (on) => this.proxy.endOver(on ? Buffer.from(POISON) : undefined, lastWords),
    };
  }

  /** A transport that reaches the broker by this URL, which leads through the proxy. */
  protected abstract transport(url: string, overrides: HarnessOverrides): Transport;

  /** The plain client, which goes down with the broker, and is not under test. */
  protected abstract connectPlain(): Promise<void>;
  protected abstract closePlain(): Promise<void>;

  abstract remove(queues: readonly string[]): Promise<void>;

  /** `url`: of the broker, with the login of the transports. */
  protected async reach(url: string): Promise<void> {
    this.url = url;
    this.proxy = await Proxy.start(url);
    await this.connectPlain();
  }

  async stop(): Promise<void> {
    await this.proxy?.close();
    await this.closePlain();
  }

  create(overrides: HarnessOverrides = {}): Transport {
    return this.transport(this.reached(), overrides);
  }

  private reached(password?: string): string {
    const url = new URL(this.proxy.url(this.url));
    if (password !== undefined) url.password = password;
    return url.href;
  }

  /** A stream of bytes with a hole in it cannot go on: the connection ends with the fault. */
  private dropConfirms(on: boolean): void {
    this.proxy.dropFromBroker(on);
    if (!on) this.proxy.reset();
  }
}
