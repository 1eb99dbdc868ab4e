/** What the sample prints when it listens. */
export function guide(address: string): string {
  const url = address.replace('[::1]', 'localhost');
  return `
Pictures are made small at ${url} (${process.env.REDIS_URL ? 'Redis' : 'embedded broker; set REDIS_URL for Redis or Valkey'}). Try:

  curl -s -X POST ${url}/pictures -H 'content-type: application/json' -d '{"name":"cat.png"}'
  curl -s -X POST ${url}/pictures -H 'content-type: application/json' -d '{"name":"dog.png","seconds":1}'
  curl -s -X POST ${url}/pictures -H 'content-type: application/json' -d '{"name":"song.mp3"}'
  curl -s ${url}/pictures
  curl -s ${url}/failed
  curl -s -X POST ${url}/failed/retry

The first is tried twice: its camera is slow. The second waits. The third can never be done, and is a dead letter at once.
Ctrl+C ends it.
`;
}
