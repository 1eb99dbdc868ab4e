import type { Socket } from 'node:net';

export interface ProxyFaults {
  latency: number;
  stalled: boolean;
  dropFromBroker: boolean;
  dropped: number;
  dropAfter?: Buffer;
  endOver?: { said: Buffer; lastWords: Buffer };
  cut?: { bytesLeft: number; done: () => void };
}

/** A client's socket, the broker's socket, and what passes between them. */
export class ProxyConnection {
  private readonly toBroker: Direction;
  private readonly toClient: Direction;
  private saidIt = false;
  private ended = false;

  constructor(
    private readonly client: Socket,
    private readonly broker: Socket,
    private readonly faults: ProxyFaults,
    onClosed: () => void,
  ) {
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
    }
    this.toBroker = new Direction(client, broker, faults, (chunk) => this.fromClient(chunk));
    this.toClient = new Direction(broker, client, faults, (chunk) => this.drop(chunk));
    client.once('close', onClosed);
    this.update();
  }

  update(): void {
    this.toBroker.update();
    this.toClient.update();
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.broker.resetAndDestroy();
  }

  /** The broker is to receive what came before: its side ends in order. */
  private endWith(lastWords: Buffer, before: Buffer): undefined {
    this.ended = true;
    this.broker.end(before);
    this.client.end(lastWords);
  }

  private drop(chunk: Buffer): Buffer | undefined {
    if (!this.faults.dropFromBroker && !this.saidIt && !this.ended) return chunk;
    this.faults.dropped += chunk.length;
    return undefined;
  }

  private fromClient(chunk: Buffer): Buffer | undefined {
    const { cut, dropAfter, endOver } = this.faults;
    const at = endOver ? chunk.indexOf(endOver.said) : -1;
    if (endOver && at >= 0) return this.endWith(endOver.lastWords, chunk.subarray(0, at));
    if (dropAfter && chunk.includes(dropAfter)) this.saidIt = true;
    if (!cut) return chunk;
    cut.bytesLeft -= chunk.length;
    if (cut.bytesLeft > 0) return chunk;
    this.faults.cut = undefined;
    // The broker is to receive the beginning of the frame: its side ends in order.
    this.broker.end(chunk.subarray(0, chunk.length + cut.bytesLeft));
    this.client.resetAndDestroy();
    this.broker.once('close', cut.done);
    this.broker.resume();
    return undefined;
  }
}

/** Passes chunks on in order, each at its time. */
class Direction {
  private readonly waiting: { due: number; chunk: Buffer | 'end' }[] = [];
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly faults: ProxyFaults,
    private readonly filter: (chunk: Buffer) => Buffer | undefined,
  ) {
    from.on('data', (chunk: Buffer) => this.take(chunk));
    from.on('end', () => this.take('end'));
    from.on('close', () => clearTimeout(this.timer));
    to.on('drain', () => this.update());
  }

  /** Reads while it may. */
  update(): void {
    if (this.faults.stalled || this.to.writableNeedDrain) {
      this.from.pause();
      clearTimeout(this.timer);
      this.timer = undefined;
    } else {
      this.from.resume();
      this.pass();
    }
  }

  private take(chunk: Buffer | 'end'): void {
    this.waiting.push({ due: Date.now() + this.faults.latency, chunk });
    if (!this.faults.stalled) this.pass();
  }

  private pass(): void {
    if (this.timer) return;
    while (this.waiting.length > 0 && this.waiting[0].due <= Date.now()) this.write(this.waiting.shift()!.chunk);
    if (this.waiting.length === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.pass();
    }, this.waiting[0].due - Date.now());
  }

  private write(chunk: Buffer | 'end'): void {
    if (this.to.writableEnded || this.to.destroyed) return;
    if (chunk === 'end') {
      this.to.end();
      return;
    }
    const rest = this.filter(chunk);
    if (rest && !this.to.write(rest)) this.from.pause();
  }
}
