import { afterEach, describe, expect, test } from '@jest/globals';
import { type Clock, MessagingModule, Publisher, systemClock } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { delayHeader } from '../../lib/transports/nats/wire/encode.js';
import { TYPES_HEADER } from '../../lib/transports/kit/text-values.js';
import { DEDUPE_HEADER, property } from '../../lib/transports/nats/wire/headers.js';
import { deadLetterSubject, directSubject, namesOf, routeSubject } from '../../lib/transports/nats/names.js';
import { describeNats } from '../brokers/nats.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { closePlain, connectPlain } from '../nats/plain.js';
import { Recorder } from './amqp-bytes.js';
import { documentedPublish, PUBLISHED_AT, wireDocument } from './documented-publish.js';
import { code } from './markdown.js';

const section = wireDocument.section('On NATS');
const names = namesOf('events');

interface Golden {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const golden = JSON.parse(section.blocks('json')[0].code) as Golden;

describe('docs/wire.md, on NATS', () => {
  test('the subjects and streams are those of the code', () => {
    const rows = section.table().map((row) => [code(row.subject), code(row.stream)]);
    expect(rows).toEqual([
      [routeSubject('events', 'order.created'), names.stream],
      [directSubject('orders:order.created:queue', names), names.stream],
      [deadLetterSubject('orders:order.created:dlq', names), names.stream],
      [names.delayedSubject, names.delayed],
    ]);
  });

  test('every header of the transport is named', () => {
    const own = [...Object.values(property), DEDUPE_HEADER, TYPES_HEADER, ...Object.values(delayHeader)];
    for (const name of own) expect(section.inlineCode()).toContain(name);
  });
});

describeNats('docs/wire.md, read by a plain client', (server) => {
  let recorder: Recorder | undefined;

  afterEach(async () => {
    await closeApplications();
    await closePlain();
    recorder?.close();
  });

  test('a publish is byte for byte what the document says', async () => {
    const url = await server.url();
    recorder = await Recorder.start(url);
    const clock: Clock = {
      now: () => PUBLISHED_AT,
      monotonic: () => systemClock.monotonic(),
      after: (...timer) => systemClock.after(...timer),
    };
    const transport = nats({ servers: recorder.url });
    const { get } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', clock, transport, unroutable: 'ignore' })],
    });
    const plain = await connectPlain(url);
    const subscription = plain.subscribe(golden.subject, { max: 1 });
    await plain.flush();
    await get(Publisher).publish(...documentedPublish());

    // Of this publish alone.
    const uuid = /:[0-9a-f-]{36}$/;
    let headersNow: Golden['headers'] = {};
    for await (const { subject, headers, data } of subscription) {
      const read = Object.fromEntries([...headers!].map(([name, values]) => [name, values.join()]));
      expect(read[DEDUPE_HEADER].replace(uuid, '')).toBe(golden.headers[DEDUPE_HEADER].replace(uuid, ''));
      headersNow = { ...golden.headers, [DEDUPE_HEADER]: read[DEDUPE_HEADER] };
      expect({ subject, headers: read, body: Buffer.from(data).toString() }).toEqual({
        ...golden,
        headers: headersNow,
      });
    }
    const lines = Object.entries(headersNow).map(([name, value]) => `${name}: ${value}\r\n`);
    const block = `NATS/1.0\r\n${lines.join('')}\r\n`;
    const sizes = `${Buffer.byteLength(block)} ${Buffer.byteLength(block + golden.body)}`;
    expect(recorder.said.toString()).toMatch(new RegExp(`HPUB ${golden.subject} \\S+ ${sizes}\r\n`));
    expect(recorder.said.includes(`\r\n${block}${golden.body}\r\n`)).toBe(true);
  });
});
