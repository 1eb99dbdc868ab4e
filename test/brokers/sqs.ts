import { afterAll, describe } from '@jest/globals';
import { announcedSqs, type AvailableSqs } from './sqs/availability.js';
import type { Emulator } from './sqs/install.js';
import { SqsServer } from './sqs/server.js';

/** SQS for one describe block. Its emulators are stopped after the block. */
export class SqsBroker {
  private readonly servers: SqsServer[] = [];
  private shared?: Promise<SqsServer>;

  constructor(private readonly sqs: AvailableSqs) {
    afterAll(async () => void (await Promise.all(this.servers.map((server) => server.stop()))));
  }

  /** Emulators are of this run: they can be started, and given faults. Else there is only the endpoint of somebody else. */
  get ours(): boolean {
    return this.sqs.packages !== undefined;
  }

  /** Undefined: an endpoint that somebody else runs. */
  get emulator(): Emulator | undefined {
    return this.sqs.emulator;
  }

  /** An emulator of its own. Takes a moment. */
  async start(): Promise<SqsServer> {
    const server = await SqsServer.start(this.sqs.emulator!, this.sqs.packages!);
    this.servers.push(server);
    return server;
  }

  /** The emulator of this block; or the endpoint that somebody else runs. */
  async url(): Promise<string> {
    return this.sqs.url ?? (await (this.shared ??= this.start())).url;
  }
}

/** The block, or a skipped one where there is no SQS. */
export function describeSqs(name: string, block: (sqs: SqsBroker) => void): void {
  const { available, skipped } = announcedSqs();
  for (const sqs of available) describe(`${name} (SQS: ${sqs.title})`, () => block(new SqsBroker(sqs)));
  for (const { broker, reason } of skipped)
    describe.skip(`${name} (${broker}: ${reason.split('\n')[0]})`, () => block(new SqsBroker({ title: 'none' })));
}
