/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const order = `curl -s -X POST ${url}/orders -H 'content-type: application/json' -d`;
  return `
Orders are taken at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}, PostgreSQL by DATABASE_URL):

  ${order} '{"item":"book","quantity":2}'
  ${order} '{"item":"book","quantity":1000}'
  curl -s ${url}/orders

The second is refused after its order and its message were written: both are undone. Ctrl+C ends it.
`;
}
