/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const { AMQP_URL, NATS_URL } = process.env;
  const broker = AMQP_URL ? 'RabbitMQ' : NATS_URL ? 'NATS' : 'embedded broker; set AMQP_URL or NATS_URL for another';
  return `
Prices are told at ${url} (${broker}). Try:

  curl -s ${url}/quotes/book
  curl -s ${url}/quotes/unicorn
  curl -s ${url}/quotes/lamp
  curl -s ${url}/nobody
  curl -s ${url}/replies

The second one is answered with an error, which travels with its code. The third one is given up after half a second, and
what is answered later is counted. For the fourth one nobody is there, which is known at once. Ctrl+C ends it.
`;
}
