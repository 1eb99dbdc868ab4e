import type { Clock } from '../clock/clock.js';
import type { Delivery } from '../transport/delivery.js';
import { queuesOf } from '../transport/queue-operations.js';
import type { Transport } from '../transport/transport.js';
import { movedCopy } from './moved-copy.js';

/** Copies under way at a time. More than 32 acks at once a quorum queue may lose with its channel, and repeat the messages. */
const WINDOW = 24;

export interface Move {
  readonly from: string;
  readonly to: string;
  /** The queue whose messages these are. */
  readonly home: string;
}

/**
 * Moves what is in a queue, in its order, until it is empty. Each message is acked once its copy is confirmed: who is killed
 * meanwhile repeats messages, and loses none. Resolves with how many were moved. @throws the error of the first that was not
 */
export async function moveMessages(transport: Transport, move: Move, clock: Clock): Promise<number> {
  for (let total = 0; ;) {
    const moved = await moveOnce(transport, move, clock);
    if (moved === 0) return total;
    total += moved;
  }
}

async function moveOnce(transport: Transport, { from, to, home }: Move, clock: Clock): Promise<number> {
  const look = await queuesOf(transport, 'nothing can be moved').browse(from);
  const underWay = new Set<Promise<void>>();
  let moved = 0;
  let failure: Error | undefined;
  const copy = (delivery: Delivery): Promise<void> =>
    new Promise((resolve) => {
      transport.publish([movedCopy(delivery, to, home, clock.now())], (_, result) => {
        if (result.status === 'confirmed') {
          delivery.ack();
          moved++;
        } else failure ??= result.error;
        resolve();
      });
    });
  try {
    for (let one = await look.next(); one && !failure; one = await look.next()) {
      const copying: Promise<void> = copy(one).then(() => void underWay.delete(copying));
      underWay.add(copying);
      if (underWay.size >= WINDOW) await Promise.race(underWay);
    }
  } finally {
    await Promise.all(underWay);
    await look.close();
  }
  if (failure) throw failure;
  return moved;
}
