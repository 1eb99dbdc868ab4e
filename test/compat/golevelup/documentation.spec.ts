import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { npmFolderBesideBrokers } from '../../brokers/npm-folder.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { BesideGolevelup } from './beside-golevelup.js';

const { folder } = npmFolderBesideBrokers('request-peers', resolve(__dirname, '../../request/interop'));

describeRabbit('the application of golevelup’s documentation, on Nest 11', (rabbit) => {
  const run = folder === undefined ? test.skip : test;
  let beside: BesideGolevelup;
  let url: string;

  beforeAll(async () => {
    if (folder === undefined) return;
    url = await rabbit.freshVhostUrl();
    beside = new BesideGolevelup(folder);
    await beside.compile('test/compat/golevelup/application');
  });
  afterAll(() => beside?.close());

  const outcome = async (standIn: string): Promise<object> => {
    const said = await beside.run('main.js', { AMQP_URL: url, STAND_IN: standIn, REPORT: 'report.md' });
    return JSON.parse(said.split('\n').find((line) => line.startsWith('{"answers"'))!) as object;
  };

  run(
    'does on this package, with its own decorators and classes, what it does on golevelup’s, on the same queues',
    async () => {
      const theirs = await outcome('0');
      expect(await outcome('1')).toEqual(theirs);
      expect(theirs).toMatchObject({
        answers: {
          rpc: { response: 42, to: 'val' },
          failing: { failed: 'no price' },
          nothing: 'undefined',
          intercepted: { data: { n: 42 } },
          known: { welcome: true },
          unknown: { sorry: 'Forbidden resource' },
        },
        late: 200,
      });
      // And back again, for nothing was changed.
      expect(await outcome('0')).toEqual(theirs);
      const report = beside.read('report.md').split('\n').slice(2, -1);
      expect(report.map((line) => line.split(':').slice(0, 2).join(':'))).toEqual([
        '- [ ] GolevelupCompatModule: defaultSubscribeErrorBehavior REQUEUE',
        '- [ ] GolevelupCompatModule: connectionInitOptions',
        '- [ ] MessagingService.perInstance: queue',
        '- [ ] MessagingService.batch: batchOptions.timeout',
        '- [ ] MessagingService.failing: errorHandler',
      ]);
      // Whose decorator it is makes no difference to where the method is written.
      const written = beside.read('main.js').split('\n');
      for (const line of report.filter((one) => one.includes('MessagingService.'))) {
        const [, method, at] = /MessagingService\.(\w+):.* \(main\.js:(\d+)\)$/.exec(line)!;
        expect(written[Number(at) - 1]).toMatch(new RegExp(`\\b${method}\\(`));
      }
    },
    240_000,
  );
});
