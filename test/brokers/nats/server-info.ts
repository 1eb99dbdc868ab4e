import { connect } from 'node:net';

export interface ServerInfo {
  readonly version: string;
  readonly jetstream?: boolean;
}

/** What a server says first to everybody who connects. */
export function serverInfo(port: number, host = '127.0.0.1'): Promise<ServerInfo> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let text = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error(`${host}:${port} says nothing`)));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const line = /^INFO (\{.*\})\s*\r\n/.exec(text);
      if (!line) return;
      socket.destroy();
      resolve(JSON.parse(line[1]) as ServerInfo);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${host}:${port} is not a NATS server`)));
  });
}
