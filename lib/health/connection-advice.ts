/** What to look at, by what the reason says; the first that fits. */
const CAUSES: readonly (readonly [cause: RegExp, advice: string])[] = [
  [
    /ECONNREFUSED|connection refused/i,
    'Nothing listens at this address: see whether the broker runs, and whether host and port are right',
  ],
  [/ENOTFOUND|EAI_AGAIN/, 'The name of the host is not found: see the host in the address, and DNS'],
  [
    /ACCESS[_-]REFUSED|authorization|authentication|credentials|login was refused|NOT_ALLOWED/i,
    'The broker refuses the login: see user, password and virtual host, and whether they were changed on the broker',
  ],
  [
    /certificate|self.signed|\bTLS\b|\bSSL\b|ERR_SSL|ERR_TLS|EPROTO|wrong version number/i,
    'TLS fails: see the certificates and their time, and whether this port speaks TLS',
  ],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timed? ?out|does not answer|heartbeat/i,
    'The broker does not answer: see the network, firewalls, and whether the broker is overloaded',
  ],
  [
    /CONNECTION[_-]FORCED|shutdown|operator/i,
    'The broker ended the connection on purpose: see whether it is being restarted, or who closed it',
  ],
  [
    /ECONNRESET|EPIPE|socket|closed|ended|disconnected/i,
    'The other side ended the connection: see the log of the broker, and what is between (proxy, load balancer)',
  ],
];

const BLOCKED =
  'The broker takes no messages until it has memory or disk again (a resource alarm): see its alarms, and free some';
const OTHER = 'See the reason, and the log of the broker';

/** One sentence on what to look at while publishing is not possible. It holds nothing of the reason itself. */
export function connectionAdvice(reason: string, blocked = false): string {
  if (blocked) return BLOCKED;
  return CAUSES.find(([cause]) => cause.test(reason))?.[1] ?? OTHER;
}
