/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const { KAFKA_URL, AMQP_URL } = process.env;
  return `
Scans of parcels are taken at ${url}: those of carriers on ${KAFKA_URL ? 'Kafka' : 'an embedded broker (set KAFKA_URL for Kafka)'}, our own on ${AMQP_URL ? 'RabbitMQ' : 'another (set AMQP_URL for RabbitMQ)'}. Try:

  curl -s -X POST ${url}/scans -H 'content-type: application/json' -d '{"parcel":"p-1","place":"Bern","by":"carrier"}'
  curl -s -X POST ${url}/scans -H 'content-type: application/json' -d '{"parcel":"p-1","place":"depot","by":"us"}'
  curl -s ${url}/parcels

One handler has both. Ctrl+C ends it.
`;
}
