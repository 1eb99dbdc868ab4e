/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  return `
Each second a report is due, at ${url} (${process.env.AMQP_URL ? 'RabbitMQ' : 'embedded broker; set AMQP_URL for RabbitMQ, and start several with PORT'}). Try:

  curl -s ${url}/reports
  curl -s -X POST ${url}/reports/pause
  curl -s -X POST ${url}/reports/resume
  curl -s -X POST ${url}/reports/now

With several processes each report is written by one of them, at most two in a second; a pause is for all. Ctrl+C ends it.
`;
}
