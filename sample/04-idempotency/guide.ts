/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const pay = `curl -s -X POST ${url}/payments -H 'content-type: application/json' -d`;
  return `
Payments are taken at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}). Try each several times:

  ${pay} '{"id":"order-7","card":"ada","cents":1999}'
  ${pay} '{"id":"order-8","card":"busy","cents":500}'
  curl -s ${url}/payments

A payment is charged once, however often it is asked for; also after a restart. Ctrl+C ends it.
`;
}
