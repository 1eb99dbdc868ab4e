import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** Where Node tells of every socket that is opened. */
const SOCKETS = 'net.client.socket';

const attempts = new AsyncLocalStorage<Socket[]>();

/**
 * An attempt to connect that leaves no socket behind. The client (3.4) keeps one open when nobody answered on it in time: a
 * server that hangs would cost an application one more with each attempt.
 */
export async function attempt<T>(connect: () => Promise<T>): Promise<T> {
  const sockets: Socket[] = [];
  const opened = (message: unknown): void => {
    // Others in this process open sockets at the same time.
    if (attempts.getStore() === sockets) sockets.push((message as { socket: Socket }).socket);
  };
  subscribe(SOCKETS, opened);
  try {
    const connection = await attempts.run(sockets, connect);
    // Servers are tried one after the other.
    sockets.pop();
    return connection;
  } finally {
    unsubscribe(SOCKETS, opened);
    for (const socket of sockets) socket.destroy();
  }
}
