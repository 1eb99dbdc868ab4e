import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeSqs } from '../brokers/sqs.js';

/** What docs/sqs.md says of the emulators: they differ, and neither is SQS. */
const told = {
  fauxqs: {
    ofOneGroup: 1,
    leftByStaleReceipt: 1,
    takes300KiB: true,
    takesElevenAttributes: true,
    checksRedrive: false,
  },
  moto: { ofOneGroup: 3, leftByStaleReceipt: 0, takes300KiB: true, takesElevenAttributes: true, checksRedrive: true },
};

describeSqs('An emulator', (sqs) => {
  let client: SQSClient;

  beforeAll(async () => {
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    client = new SQSClient({ endpoint: await sqs.url(), region: 'us-east-1', credentials, maxAttempts: 1 });
  }, 60_000);
  afterAll(() => client?.destroy());

  const make = async (name: string, Attributes?: Record<string, string>): Promise<string> =>
    (await client.send(new CreateQueueCommand({ QueueName: name, Attributes }))).QueueUrl!;
  const receive = async (QueueUrl: string, VisibilityTimeout?: number) =>
    (await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout }))).Messages ??
    [];
  const isTaken = (work: Promise<unknown>): Promise<boolean> =>
    work.then(
      () => true,
      () => false,
    );

  (sqs.emulator ? test : test.skip)('is what docs/sqs.md says of it', async () => {
    const fifo = await make('group.fifo', { FifoQueue: 'true', ContentBasedDeduplication: 'true' });
    for (const MessageBody of ['a', 'b', 'c'])
      await client.send(new SendMessageCommand({ QueueUrl: fifo, MessageBody, MessageGroupId: 'one' }));
    const stale = await make('stale');
    await client.send(new SendMessageCommand({ QueueUrl: stale, MessageBody: 'a' }));
    const [{ ReceiptHandle }] = await receive(stale, 0);
    await receive(stale, 0);
    await client.send(new DeleteMessageCommand({ QueueUrl: stale, ReceiptHandle }));
    const attributes = Array.from({ length: 11 }, (_, at) => [`a${at}`, { DataType: 'String', StringValue: 'x' }]);
    const large = { QueueUrl: stale, MessageBody: 'x'.repeat(300 * 1_024) };
    const many = { QueueUrl: stale, MessageBody: 'x', MessageAttributes: Object.fromEntries(attributes) };
    const redrive = { deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:nowhere', maxReceiveCount: 5 };
    expect({
      ofOneGroup: (await receive(fifo)).length,
      leftByStaleReceipt: (await receive(stale, 0)).length,
      takes300KiB: await isTaken(client.send(new SendMessageCommand(large))),
      takesElevenAttributes: await isTaken(client.send(new SendMessageCommand(many))),
      checksRedrive: !(await isTaken(make('redriven', { RedrivePolicy: JSON.stringify(redrive) }))),
    }).toEqual(told[sqs.emulator!]);
  });
});
