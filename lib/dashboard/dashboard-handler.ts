import { type DashboardOptions, resolveDashboard } from './dashboard-options.js';
import { Dashboard } from './dashboard.js';
import type { ObservedMessaging } from './observed-messaging.js';
import { Refusal } from '../web/refusal.js';
import type { WebCall } from '../web/request-checks.js';
import { segmentsBehind } from '../web/segments.js';

/** Answers requests of the dashboard. */
export interface DashboardHandler {
  (request: Request): Promise<Response>;
  /** Ends what is open: the streams of pages, and redrives after their batch. */
  close(): void;
}

/**
 * A dashboard for servers that know `Request` and `Response`: whatever comes to its path is handed to the handler. In a
 * Nest application `MessagingDashboardModule` does this.
 * @throws InvalidOptionError without `token` or `insecure`, and for options of the wrong type or range
 */
export function createDashboardHandler(messaging: ObservedMessaging, options: DashboardOptions): DashboardHandler {
  const resolved = resolveDashboard(options);
  const dashboard = new Dashboard(messaging, resolved);
  const handle = (request: Request): Promise<Response> => dashboard.handle(callOf(request, resolved.path));
  return Object.assign(handle, { close: () => dashboard.close() });
}

function callOf(request: Request, path: string): WebCall {
  const { pathname, searchParams, protocol } = new URL(request.url);
  return {
    method: request.method,
    segments: segmentsBehind(path, pathname),
    search: searchParams,
    inFolder: pathname.endsWith('/'),
    secure: protocol === 'https:' || request.headers.get('x-forwarded-proto') === 'https',
    header: (name) => request.headers.get(name) ?? (name === 'host' ? new URL(request.url).host : null),
    body: (most) => textOf(request, most),
    request,
  };
}

async function textOf(request: Request, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += (part as Uint8Array).length;
    if (size > most) throw new Refusal(413, `More than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
