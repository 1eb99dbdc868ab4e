/** What the sample prints when it is open. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  return `
Readings are taken at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}). Try:

  curl -s -X POST ${url}/readings/burst -H 'content-type: application/json' -d '{"sensor":"roof","count":250}'
  curl -s -X POST ${url}/readings -H 'content-type: application/json' -d '{"sensor":"roof","celsius":999}'
  curl -s ${url}/readings
  curl -s ${url}/readings/rejected

The first is stored in batches of at most 100; the second cannot be stored, and no other reading fails with it.
Ctrl+C ends it.
`;
}
