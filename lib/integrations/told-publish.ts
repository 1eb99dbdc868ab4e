import { Logger } from '@nestjs/common';
import { errorMessage } from '../errors/redact.js';
import type { Publisher } from '../publisher/publisher.js';
import type { RouteLike } from '../publisher/publish-options.js';
import type { Receipt } from '../publisher/receipt.js';

/** Publishes for callers that may not look at the result: a failure is a line in the log as well. */
export function toldPublish(publisher: Pick<Publisher, 'publish'>, route: RouteLike, body: unknown): Promise<Receipt> {
  const sent = publisher.publish(route as string, body);
  sent.catch((error: unknown) => {
    const name = typeof route === 'string' ? route : route.route;
    new Logger('Messaging').error(`An event was not published on «${name}»: ${errorMessage(error)}`);
  });
  return sent;
}
