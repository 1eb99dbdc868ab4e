/** What the sample prints when it is open. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  return `
Payments are taken at ${url}. Stop RabbitMQ, then try:

  curl -s -X POST ${url}/payments -H 'content-type: application/json' -d '{"account":"ada","cents":1250}'
  curl -s ${url}/queue
  curl -s ${url}/payments

The first answers «queued» and «disk». Kill this process (kill -9 ${process.pid}), start it and RabbitMQ again:
the last one shows what was booked since. Ctrl+C ends it.
`;
}
