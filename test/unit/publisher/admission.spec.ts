import { expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Admission, type Way } from '../../../lib/publisher/admission.js';
import { Bounds } from '../../../lib/publisher/bounds.js';
import { Publication } from '../../../lib/publisher/publication.js';

function admission(maxMessages: number) {
  const options = { maxMessages, maxBytes: 100_000, whenFull: 'wait', waitTimeout: 1_000 } as const;
  const queued = { depth: 0, bytes: 0 };
  const clock = new ManualClock();
  const timedOut: [string, string][] = [];
  const bounds = new Bounds(options, queued);
  return {
    queued,
    clock,
    timedOut,
    admission: new Admission(options, bounds, clock, ({ message }, { code }) => void timedOut.push([message.id, code])),
  };
}

function publication(id: string, bytes = 0): Publication {
  const message = { id, route: 'a', body: Buffer.alloc(bytes), headers: {}, properties: {} };
  return new Publication({ kind: 'route', route: 'a' }, message, undefined, 'reject', false);
}

test.each<Way>(['send', 'queue', 'wait'])('where there is room, the verdict is what could be done now: %s', (way) => {
  expect(admission(2).admission.admit(publication('a'), way)).toBe(way);
});

test('without room everybody waits, in order; who is first has the turn when there is room, and what never fits is an error', () => {
  const { admission: one, queued } = admission(2);
  queued.depth = 2;
  const [first, second] = [publication('first'), publication('second')];
  expect([one.admit(first, 'queue'), one.admit(second, 'queue')]).toEqual(['wait', 'wait']);
  expect(one.admit(publication('third'), 'queue')).toMatchObject({ code: 'RETRY_QUEUE_FULL' });
  expect(one.admit(publication('large', 100_000), 'send')).toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  expect([...one.inLine]).toEqual([first, second]);
  expect(one.turnOf(first, 'queue', true)).toBe('wait');
  queued.depth = 1;
  expect(one.turnOf(first, 'wait', true)).toBe('wait');
  expect(one.turnOf(first, 'send', true)).toBe('send');
  expect([...one.inLine]).toEqual([second]);
});

test('where nothing under way can make room, who waits has a deadline', async () => {
  const { admission: one, queued, clock, timedOut } = admission(1);
  queued.depth = 1;
  const waiting = publication('waiting');
  one.admit(waiting, 'queue');
  expect(one.turnOf(waiting, 'queue', false)).toBe('wait');
  await clock.advance(1_000);
  expect(timedOut).toEqual([['waiting', 'RETRY_QUEUE_FULL']]);
  expect([...one.inLine]).toEqual([]);
});
