// Faults put into the package on purpose. Each names the line that is changed, and the test that must fail of it:
// a file with the name of a test, or a cell of the matrix.
const retry = 'test/e2e/retry-and-dead-letters.spec.ts';
const lifecycle = 'test/e2e/lifecycle.spec.ts';
const boot = 'test/e2e/rabbitmq-boot.spec.ts';
const publishing = 'test/rabbitmq/publishing.spec.ts';
const hung = 'test/rabbitmq/hung-queue.spec.ts';

const consumer = 'lib/consumer/consumer.ts';
const settlement = 'lib/consumer/settlement/settlement.ts';
const dispatcher = 'lib/publisher/dispatcher.ts';
const connection = 'lib/transports/kit/supervised-connection.ts';

const UNDRAINED = 'await this.endIntake(deadline);\n    await this.drained(deadline);';

export const mutations = [
  // What was measured in other libraries.
  {
    name: 'a failed call is tried again at once, for ever',
    edits: [
      [
        settlement,
        "return this.move(delivery, attempt, this.copy(delivery, attempt + 1, delayMs), 'retry', outcome);",
        'return this.release(delivery, undefined);',
      ],
    ],
    caughtBy: { file: retry, test: 'a failing handler is called' },
  },
  {
    name: 'a failed call acks its message',
    edits: [[settlement, 'return this.retry(delivery, attempt, outcome);', "delivery.ack(); return 'ack';"]],
    caughtBy: { file: retry, test: 'a failing handler is called' },
  },
  {
    name: 'a message that kills its process is not counted',
    edits: [['lib/consumer/settlement/attempt-count.ts', 'return deliveryCount ?', 'return deliveryCount === -1 ?']],
    caughtBy: { cell: 'poison-message' },
  },
  {
    name: 'a shutdown does not wait for handlers',
    edits: [[consumer, UNDRAINED, 'await this.endIntake(deadline);']],
    caughtBy: { cell: 'consumer-sigterm' },
  },
  {
    name: 'a shutdown does not wait for handlers (one process)',
    edits: [[consumer, UNDRAINED, 'await this.endIntake(deadline);']],
    caughtBy: { file: lifecycle, test: 'lets running handlers finish' },
  },
  {
    name: 'handlers still start while the application closes',
    edits: [
      [consumer, 'this.gate.stop();', ''],
      [consumer, 'await until(this.intake.end(), deadline);\n    this.intakeEnded = true;', ''],
    ],
    caughtBy: { cell: 'consumer-sigterm' },
  },
  {
    name: 'a cancelled consumer stays away',
    edits: [
      [
        'lib/transports/rabbitmq/consuming/consumer-session.ts',
        "this.end('the broker cancelled the consumer');\n      void this.close();",
        '',
      ],
    ],
    caughtBy: { cell: 'queue-deleted' },
  },
  {
    name: 'the boot waits for the broker',
    edits: [
      [
        connection,
        '      this.retry();\n    }\n  }',
        '      this.retry();\n      await new Promise(() => {});\n    }\n  }',
      ],
    ],
    caughtBy: { file: boot, test: 'boots while the broker is down' },
  },
  {
    name: 'a publish without a connection stays pending',
    edits: [
      [
        dispatcher,
        'else this.enqueue(publication, whyQueued(publication, this.obstacle));',
        'else if (!this.obstacle) this.enqueue(publication, whyQueued(publication, undefined));',
      ],
    ],
    caughtBy: { cell: 'refusing-listener' },
  },
  {
    name: 'the retry queue grows without bounds',
    edits: [
      [
        'lib/publisher/bounds.ts',
        'return this.count + this.queue.depth < maxMessages && this.bytes + this.queue.bytes + bytes <= maxBytes;',
        'return this.count + this.bytes + bytes + maxBytes + maxMessages >= 0;',
      ],
    ],
    caughtBy: { file: 'test/unit/publisher/bounds.spec.ts', test: 'by count' },
  },
  {
    name: 'what the broker returns is taken for confirmed',
    edits: [
      [
        'lib/transports/rabbitmq/publishing/publish-channel.ts',
        'if (entry) entry.returned = true;',
        'if (entry) return;',
      ],
    ],
    caughtBy: { file: publishing, test: 'tells which of many messages nobody takes' },
  },
  {
    name: 'subscriptions are found once per process',
    edits: [
      [
        'lib/messaging.explorer.ts',
        'const seen = new Map<object, Set<string>>();',
        'const seen = ((globalThis as any).seen ??= new Map()) as Map<object, Set<string>>;',
      ],
      [
        'lib/messaging.explorer.ts',
        'const identity = isSingleton(wrapper) ? (wrapper.instance as object) : (type as object);',
        'const identity = type as object;',
      ],
    ],
    caughtBy: { file: 'test/e2e/subscribe.spec.ts', test: 'several applications of the same module' },
  },
  {
    name: 'what fails for a passing reason is rejected',
    edits: [
      [
        dispatcher,
        'else this.keep(publication, error, { attempts, returns: stored?.returns ?? 0, nacked });',
        "else this.giveUp(publication, error, 'unsendable');",
      ],
      [
        dispatcher,
        'else this.enqueue(publication, whyQueued(publication, this.obstacle));',
        "else this.giveUp(publication, whyQueued(publication, this.obstacle), 'unsendable');",
      ],
    ],
    caughtBy: { cell: 'abrupt-loss' },
  },
  {
    name: 'errors and log lines show passwords',
    edits: [
      [
        'lib/transports/rabbitmq/connection/dialer.ts',
        'return this.addresses.reduce((clean, address) => address.redact(clean), text);',
        'return text;',
      ],
      [
        'lib/errors/redact.ts',
        "return text.includes('://') ? text.replace(CREDENTIALS, '://***@') : text;",
        'return CREDENTIALS ? text : text;',
      ],
    ],
    caughtBy: { file: boot, test: 'a password in the URL is in no log line' },
  },
  {
    name: 'a dead letter is encoded once more',
    edits: [
      [
        'lib/transports/rabbitmq/publishing/publisher.ts',
        'body: message.body,',
        "body: to.kind === 'dead-letter' ? Buffer.from(JSON.stringify(message.body.toString('base64'))) : message.body,",
      ],
    ],
    caughtBy: { file: 'test/e2e/plain-client.spec.ts', test: 'sees its bytes, properties and header types survive' },
  },
  // What would lose, repeat or hold up messages here.
  {
    name: 'the original is acked before its copy is confirmed',
    edits: [
      [
        settlement,
        'if (delivery.move) return delivery.move(copy);',
        'if (delivery.move) return delivery.move(copy);\n    delivery.ack();',
      ],
    ],
    caughtBy: { cell: 'dlq-deleted' },
  },
  {
    name: 'new messages overtake queued ones of their key',
    edits: [
      [
        dispatcher,
        "if (this.obstacle !== undefined || policy.holdUntil !== undefined || this.retryQueue.holds(key)) return 'queue';",
        "if (this.obstacle !== undefined || policy.holdUntil !== undefined || (key === undefined && false)) return 'queue';",
      ],
    ],
    caughtBy: { cell: 'order-through-outage' },
  },
  {
    name: 'a key has several messages in flight in spite of «ordered»',
    edits: [['lib/publisher/ordered-keys.ts', 'return this.lanes.isHead(publication);', 'return true;']],
    caughtBy: { cell: 'ordered-through-outage' },
  },
  {
    name: 'a key has several messages in flight in spite of «ordered» (one process)',
    edits: [['lib/publisher/ordered-keys.ts', 'return this.lanes.isHead(publication);', 'return true;']],
    caughtBy: { file: 'test/unit/publisher/order.spec.ts', test: 'has one message of its key under way at a time' },
  },
  {
    name: 'what waits behind a held message begins when a lost connection takes both',
    edits: [[consumer, 'queueMicrotask(() => this.leave(work));', 'this.leave(work);']],
    caughtBy: {
      file: 'test/unit/consumer/schedule/partitioned.spec.ts',
      test: 'what waits behind a held message does not begin when a lost connection takes both',
    },
  },
  {
    name: 'a loop has its messages acked when it gets them',
    edits: [
      [
        'lib/consumer/receive/receiver.ts',
        'this.source?.arrived(delivery);',
        'this.source?.arrived(delivery);\n      resolve(undefined);',
      ],
    ],
    caughtBy: { cell: 'consumer-killed', consumer: 'receive' },
  },
  {
    name: 'a batch is acked before it is handled',
    edits: [
      [
        'lib/consumer/batch/batches.ts',
        'this.handling.add(batch);',
        'this.handling.add(batch);\n    for (const { delivery } of batch.members) delivery.ack();',
      ],
    ],
    caughtBy: { cell: 'consumer-killed', consumer: 'batch' },
  },
  {
    name: 'partitions do not keep the order of a key',
    edits: [
      [
        'lib/consumer/partitions/distributor.ts',
        'if (line) return void line.push(move);',
        'if (line) return this.send(move);',
      ],
    ],
    caughtBy: { file: 'test/unit/consumer/partitions/partitions.spec.ts', test: 'one message of a key at a time' },
  },
  {
    name: 'an exchange comes back without its bindings',
    edits: [['lib/transports/rabbitmq/topology/declarations.ts', 'await this.context.bindAgain();', '']],
    caughtBy: { file: publishing, test: 'comes back when its exchange is deleted' },
  },
  {
    name: 'nothing is declared again as long as all stay connected',
    edits: [['lib/transports/kit/renewal.ts', 'this.running = true;\n    this.arm();', 'this.running = true;']],
    caughtBy: { file: 'test/rabbitmq/renewal.spec.ts', test: 'binds again' },
  },
  {
    name: 'what does not confirm stays among the others',
    edits: [['lib/transports/rabbitmq/publishing/publish-line-pair.ts', 'this.suspects.add(key, name);', '']],
    caughtBy: { cell: 'one-queue-hung' },
  },
  {
    name: 'a channel that is not closed in time ends the connection',
    edits: [
      [
        'lib/transports/rabbitmq/publishing/publish-line.ts',
        'channel.isOpen && channel.abandon()',
        "channel.isOpen && this.connection.destroy('late')",
      ],
    ],
    caughtBy: { file: hung, test: 'costs the others one channel' },
  },
  {
    name: 'a hung destination is probed all the time',
    edits: [
      [
        'lib/transports/rabbitmq/publishing/suspects.ts',
        'return !this.probed && this.clock.monotonic() >= this.nextProbeAt;',
        'return !this.probed;',
      ],
    ],
    caughtBy: { file: hung, test: 'is probed ever more seldom' },
  },
  {
    name: 'a declaration may take for ever',
    edits: [
      [
        'lib/transports/rabbitmq/connection/amqplib.ts',
        'return answered(run(), bound,',
        'return answered(run(), { ...bound, ms: 2 ** 30 },',
      ],
    ],
    caughtBy: { file: hung, test: 'a declaration that is never answered' },
  },
  {
    name: 'closing warns of what it interrupts',
    edits: [
      [
        'lib/transports/kit/supervised-consumer.ts',
        '    if (!this.isWanted()) return;\n    const reason',
        '    const reason',
      ],
    ],
    caughtBy: { file: 'test/unit/kit/supervised-consumer.spec.ts', test: 'does not warn when it is closed' },
  },
];
