/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const { AMQP_URL, NATS_URL } = process.env;
  const broker = AMQP_URL
    ? 'RabbitMQ'
    : NATS_URL
      ? 'NATS'
      : 'embedded broker; AMQP_URL is for RabbitMQ, NATS_URL for NATS';
  const order = (body: string): string =>
    `curl -s -X POST ${url}/orders -H 'content-type: application/json' -d '${body}'`;
  return `
Orders are taken and invoiced at ${url} (${broker}). Try:

  ${order('{"order":"book-1"}')}
  ${order('{"order":"lamp-1","paper":"jams"}')}
  ${order('{"order":"desk-1","paper":"torn"}')}
  ${order('{"order":"sofa-1","slow":true}')}
  curl -s ${url}/orders
  curl -s -X POST ${url}/dead-letters/retry

The invoice of the lamp fails twice and is printed by the third call. That of the desk is given up after three calls, kept,
and printed when the last line has said so. The transaction of the sofa takes too long: nobody knows what becomes of it until
it has committed, and then it is sent. An order that is placed twice is invoiced once. Ctrl+C ends it.
`;
}
