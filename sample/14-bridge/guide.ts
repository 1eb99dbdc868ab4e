import { HOPS, VARIABLES } from './hops.js';

/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const way = HOPS.map((hop, at) =>
    process.env[VARIABLES[at]] ? hop : `${hop} (embedded; ${VARIABLES[at]} is not set)`,
  );
  return `
Orders placed at ${url} pass these brokers, by one handler:

  ${way.join('\n  ')}

Try:

  curl -s -X POST ${url}/orders -H 'content-type: application/json' -d '{"orders":20}'
  curl -s ${url}/orders

Stop a broker on the way and start it again: orders wait before it, and none is lost. Ctrl+C ends it.
`;
}
