import type { Redis } from 'ioredis';
import type { PlainTransport } from './client.js';

/** As a process that was killed: its connections end, and nothing is given back; it does not come back. */
export async function kill({ transport }: PlainTransport): Promise<void> {
  const { client } = transport.native() as { client: Redis };
  const parts = transport as unknown as { parts: { connection: { closing: boolean } } };
  parts.parts.connection.closing = true;
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
  (client as unknown as { stream: { destroy(): void } }).stream.destroy();
  await ended;
}
