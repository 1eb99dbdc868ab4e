/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const shared = 'RabbitMQ; start it again with another PORT, and the two share the accounts';
  return `
The ledger is at ${url} (${process.env.AMQP_URL ? shared : 'embedded broker; set AMQP_URL for RabbitMQ and several processes'}). Try:

  curl -s -X POST ${url}/accounts/entries -H 'content-type: application/json' -d '{"accounts":["ada","bob","cleo","dan"],"entries":20}'
  curl -s ${url}/accounts

The third entry of each account fails once, and is still booked before the fourth. Ctrl+C ends it.
`;
}
