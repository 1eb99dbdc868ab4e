/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  const place = `curl -s -X POST ${url}/orders -H 'content-type: application/json' -d`;
  return `
Listening at ${url}. Try:

  ${place} '{"item":"book","remindAfter":1000}'
  ${place} '{"item":"broken","remindAfter":0}'
  curl -s ${url}/orders
  curl -s ${url}/requeue

The first is sent to its subscriber after a second, the second is tried three times and then a dead letter. Ctrl+C ends it.
`;
}
