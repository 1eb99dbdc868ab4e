/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  return `
The depot is at ${url} (${process.env.SQS_URL ? 'SQS' : 'embedded broker; set SQS_URL to the endpoint of an emulator of SQS'}). Try:

  curl -s -X POST ${url}/parcels -H 'content-type: application/json' -d '{"parcels":20}'
  curl -s ${url}/parcels

The label of every fifth parcel jams once and is printed all the same, two at a time; the history of a parcel is written by
one handler at a time. Ctrl+C lets what runs end, sends what is gathered, and leaves the rest in the queues.
`;
}
