import { connect } from 'amqplib';
import type { AvailableRabbit } from './availability.js';

/** A broker that somebody else runs. Its management plugin is looked for where it usually is. */
export async function externalRabbit(url: string, managementUrl = usualManagementUrl(url)): Promise<AvailableRabbit> {
  const connection = await connect(url, { timeout: 10_000 });
  const { version } = connection.connection.serverProperties;
  await connection.close();
  const managed = await request(managementUrl, 'GET', 'whoami').then(
    () => true,
    () => false,
  );
  return { version, url, managementUrl: managed ? managementUrl : undefined };
}

/** Makes a vhost through the management plugin. */
export async function createVhostByHttp(managementUrl: string, name: string): Promise<void> {
  const vhost = encodeURIComponent(name);
  const { username } = new URL(managementUrl);
  await request(managementUrl, 'PUT', `vhosts/${vhost}`, {});
  await request(managementUrl, 'PUT', `permissions/${vhost}/${username}`, { configure: '.*', write: '.*', read: '.*' });
}

function usualManagementUrl(url: string): string {
  const { protocol, username, password, hostname } = new URL(url);
  const [scheme, port] = protocol === 'amqps:' ? ['https', 15671] : ['http', 15672];
  return `${scheme}://${username || 'guest'}:${password || 'guest'}@${hostname}:${port}`;
}

async function request(managementUrl: string, method: string, path: string, body?: object): Promise<void> {
  const { origin, username, password } = new URL(managementUrl);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const response = await fetch(`${origin}/api/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}
