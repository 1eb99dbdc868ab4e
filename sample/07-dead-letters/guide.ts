/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const post = (path: string, body: string): string =>
    `curl -s -X POST ${url}/${path} -H 'content-type: application/json' -d '${body}'`;
  return `
Listening at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}). The bank is closed. Try:

  ${post('payments', '{"count":20}')}
  curl -s ${url}/dead-letters
  curl -s -X POST ${url}/dead-letters/redrive
  ${post('bank', '{"open":true}')}
  curl -s -X POST ${url}/dead-letters/redrive
  curl -s ${url}/bank

The first redrive sends one payment and stops, because it fails again; the second sends all. On RabbitMQ from a shell:

  npx nestjs-messaging dead-letters list --exchange payments --queue shop:payments:dlq

Ctrl+C ends it.
`;
}
