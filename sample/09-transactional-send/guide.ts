/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const order = (body: string): string =>
    `curl -s -X POST ${url}/orders -H 'content-type: application/json' -d '${body}'`;
  return `
Orders are taken at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ'}). Try:

  ${order('{"item":"book"}')}
  ${order('{"item":"chair","ending":"rolls back"}')}
  ${order('{"item":"lamp","ending":"loses the answer"}')}
  curl -s ${url}/orders
  ${order('{"item":"desk","ending":"dies"}')}

There is a mail for each order in the book, and for nothing else. The last one ends this process between the commit and
the message: start it again, and after a few seconds curl -s ${url}/orders has a mail for the desk. Ctrl+C ends it.
`;
}
