import { describe, expect, test } from '@jest/globals';
import { logging, type SubscriptionOptions } from 'nestjs-messaging';
import { type Application, start } from '../../support/application.js';
import { confirmed, failed, type FakeSubscription, refused } from '../../support/fake-transport.js';

const WITHOUT_ID = 'a message without an id (route «order.created», correlation id c)';

const throws = (): never => {
  throw new Error('always');
};

interface Path {
  readonly options?: SubscriptionOptions;
  readonly handler?: () => unknown;
  readonly message?: Parameters<FakeSubscription['deliver']>[0];
  readonly answers?: readonly ReturnType<typeof refused>[];
  /** A copy to the dead letters has an id, so that an operator can name it. */
  readonly named?: true;
}

const expired = { direct: true, headers: { 'messaging-expires-at': 1 } };
const dropped = { retry: false, dlq: false } as const;

const paths: Readonly<Record<string, Path>> = {
  dropped: { options: dropped },
  'dropped, for it cannot be read': { options: dropped, message: { body: '{' } },
  'dropped, for its time is over': { options: dropped, message: expired },
  'dropped, for it ends its process': { options: dropped, message: { deliveryCount: 3 } },
  'given back, for its copy cannot be written': { options: { retry: { attempts: 2 } }, answers: [failed()] },
  'of which no copy can ever be written': {
    options: { retry: { attempts: 2 } },
    answers: [refused(), refused()],
    named: true,
  },
  'dead-lettered': { options: { retry: false }, answers: [confirmed], named: true },
};

describe('a log line names its message, or says that it has no id', () => {
  async function logged(
    { options = {}, handler = throws, message, answers = [] }: Path,
    id: string,
  ): Promise<string[]> {
    const app: Application = await start();
    const subscription = await app.subscribe(handler, options);
    subscription.deliver({ ...message, id, properties: { correlationId: 'c' } });
    await app.turn();
    for (const answer of answers) {
      app.transport.settle(answer);
      await app.turn();
    }
    return [...app.logged('warn'), ...app.logged('error')].filter((line) => line.includes('message'));
  }

  test.each(Object.entries(paths))('%s', async (_, path) => {
    const lines = await logged(path, '');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatch(path.named && !line.includes(WITHOUT_ID) ? /message [0-9a-f]{8}-[0-9a-f]{4}-7/ : WITHOUT_ID);
    for (const line of await logged(path, 'the-id')) expect(line).toContain('message the-id ');
  });

  test('the lines of logging()', async () => {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const logger = { log: write, warn: write, error: write, debug: write };
    const app = await start({ middleware: [logging({ logger })] });
    const subscription = await app.subscribe(() => undefined);
    subscription.deliver({ id: '' });
    await app.turn();
    expect(lines).toEqual([expect.stringContaining(': order.created (no id), call 1, handled')]);
  });
});
