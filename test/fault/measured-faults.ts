/** A test of ours: in a file, or a cell of the matrix. */
export interface Shown {
  readonly file?: string;
  readonly name: string;
}

/** A fault that was measured in another library, and where we show that we do not have it. */
export interface MeasuredFault {
  readonly fault: string;
  readonly theirs: string;
  readonly ours: string;
  readonly shownBy: readonly Shown[];
}

const boot = 'test/e2e/rabbitmq-boot.spec.ts';
const retry = 'test/e2e/retry-and-dead-letters.spec.ts';
const lifecycle = 'test/e2e/lifecycle.spec.ts';
const invoices = 'test/e2e/sample-15.spec.ts';
const depot = 'test/e2e/sample-13.spec.ts';

export const measured: readonly MeasuredFault[] = [
  {
    fault: '@golevelup/nestjs-rabbitmq 9: poison message, defaults',
    theirs: 'the handler ran 12,811 times in 3 s',
    ours: 'a bounded number of calls, then the dead-letter queue',
    shownBy: [{ file: retry, name: 'a failing handler is called `attempts` times' }, { name: 'poison-message' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: shutdown under load',
    theirs: '56 handlers started after the close, 4 were cut off',
    ours: 'none starts, none is cut',
    shownBy: [{ name: 'consumer-sigterm' }, { file: lifecycle, name: 'lets running handlers finish, starts none' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: queue deleted and recreated',
    theirs: 'the consumer is dead, health says connected',
    ours: 'it comes back by itself',
    shownBy: [{ name: 'queue-deleted' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: broker down at start',
    theirs: '`listen()` never returns',
    ours: 'the application listens, health says down',
    shownBy: [{ file: boot, name: 'boots while the broker is down' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: publish while disconnected',
    theirs: 'pending for ever, memory unbounded',
    ours: '`queued`, bounded by count and bytes',
    shownBy: [{ name: 'refusing-listener' }, { file: 'test/unit/publisher/bounds.spec.ts', name: 'RETRY_QUEUE_FULL' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: unroutable with `mandatory`',
    theirs: 'resolves `true`',
    ours: 'rejects with UnroutableError',
    shownBy: [{ file: 'test/rabbitmq/publishing.spec.ts', name: 'tells which of many messages nobody takes' }],
  },
  {
    fault: '@golevelup/nestjs-rabbitmq 9: second application in one process',
    theirs: 'its handlers are never registered',
    ours: 'both work',
    shownBy: [
      {
        file: 'test/e2e/subscribe.spec.ts',
        name: 'several applications of the same module in one process do not meet',
      },
    ],
  },
  {
    fault: '@nestjs/microservices RMQ 12: throwing handler, defaults',
    theirs: 'the message is gone',
    ours: 'retried, then the dead-letter queue',
    shownBy: [{ file: retry, name: 'a failing handler is called `attempts` times' }],
  },
  {
    fault: '@nestjs/microservices RMQ 12: emits right after a drop',
    theirs: 'all rejected, the URL with its password in the error',
    ours: '`queued`; no password anywhere',
    shownBy: [{ name: 'abrupt-loss' }, { file: boot, name: 'a password in the URL is in no log line' }],
  },
  {
    fault: '@nestjs/microservices RMQ 12: `app.close()` under load',
    theirs: 'returns in 7 ms, 5 handlers are cut',
    ours: 'drained',
    shownBy: [{ name: 'consumer-sigterm' }, { file: lifecycle, name: 'lets running handlers finish, starts none' }],
  },
  {
    fault: 'gormq (Go): dead letter body',
    theirs: 'JSON-encoded twice',
    ours: 'byte for byte',
    shownBy: [
      {
        file: 'test/e2e/plain-client.spec.ts',
        name: 'sees its bytes, properties and header types survive retry and dead letter',
      },
    ],
  },
  {
    fault: 'bus (Go): a handler of which only what is required is said',
    theirs: '10 sent, none handled, all acked',
    ours: 'all handled',
    shownBy: [{ file: invoices, name: 'a handler of which only the route is said gets each of ten orders' }],
  },
  {
    fault: 'bus (Go): a handler panics',
    theirs: 'its key stays held, and the retry deletes the message as a duplicate',
    ours: 'handled again, and once',
    shownBy: [{ file: invoices, name: 'a handler that throws has its order again' }],
  },
  {
    fault: 'bus (Go): a transaction slower than its check-back, then a send that fails',
    theirs: 'committed, never sent, no error',
    ours: 'sent',
    shownBy: [
      {
        file: invoices,
        name: 'a transaction that is slower than its check-back, and a send that then fails: it is sent',
      },
    ],
  },
  {
    fault: 'mq-go: a handler fails once',
    theirs: 'the message is deleted after one call',
    ours: 'retried after a pause',
    shownBy: [{ file: depot, name: 'one batch that fails on its way and four handlers that fail lose nothing' }],
  },
  {
    fault: 'mq-go: one passing error of a batch',
    theirs: 'the whole batch is lost',
    ours: 'sent again',
    shownBy: [{ file: depot, name: 'one batch that fails on its way and four handlers that fail lose nothing' }],
  },
];
