import { token } from './token.js';

/** What the shop prints when it is open. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const place = `curl -s -X POST ${url}/orders -H 'content-type: application/json' -d`;
  return `
The shop is open at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}). Try:

  ${place} '{"item":"book","quantity":2}'
  ${place} '{"item":"broken"}'
  curl -s ${url}/health

The dashboard: ${url}/messaging#token=${token}
Also: GET /orders (what was handled), GET /dead-letters, POST /dead-letters/redrive. Ctrl+C ends it.
`;
}
