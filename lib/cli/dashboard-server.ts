import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dashboard } from '../dashboard/dashboard.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { callOf, type PlatformResponse, send } from '../web/node-call.js';
import type { WebCall } from '../web/request-checks.js';
import { segmentsBehind } from '../web/segments.js';

const HERE = '127.0.0.1';

/** Serves a dashboard to this machine alone. @returns its address, and what ends it. @throws InvalidOptionError where the port is not free */
export async function serveHere(
  dashboard: Dashboard,
  path: string,
  port: number,
): Promise<{ readonly address: string; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const { method = 'GET' } = request;
    Promise.resolve()
      .then(() => dashboard.handle(webCall(request, path)))
      .then((answer) => send(response as PlatformResponse, answer, method))
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ message }) =>
      reject(new InvalidOptionError('port', port, `a port that can be listened on: ${message}`)),
    );
    server.listen(port, HERE, resolve);
  });
  const { port: listening } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    dashboard.close();
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
  };
  return { address: `http://${HERE}:${listening}${path}`, close };
}

function webCall(request: IncomingMessage, path: string): WebCall {
  const { pathname } = new URL(request.url ?? '/', `http://${HERE}`);
  return { ...callOf(request as Parameters<typeof callOf>[0], []), segments: segmentsBehind(path, pathname) };
}
