import { describe, expect, it } from '@jest/globals';
import { TopologyMismatchError } from '../../../lib/errors/configuration-errors.js';
import { NotConnectedError } from '../../../lib/errors/publish-errors.js';
import { SupervisedConsumer, type SupervisedConsumerOptions } from '../../../lib/transports/kit/supervised-consumer.js';
import { type Link, ScriptedBroker, ScriptedSession } from './scripted-broker.js';

class Consuming {
  readonly broker = new ScriptedBroker();
  readonly states: (string | undefined)[] = [];
  readonly sessions: ScriptedSession[] = [];
  /** When each session was opened. */
  readonly attached: number[] = [];
  /** Milliseconds that sessions live. */
  lifetime = Infinity;
  /** Changes a session that was opened. */
  script: (session: ScriptedSession) => unknown = () => {};
  hasEnded = false;
  readonly consumer: SupervisedConsumer<Link, ScriptedSession>;

  constructor(options: Partial<SupervisedConsumerOptions<Link, ScriptedSession>> = {}) {
    const { broker } = this;
    this.consumer = new SupervisedConsumer<Link, ScriptedSession>({
      queue: 'q',
      connection: broker.connection,
      environment: broker.environment,
      handlers: {
        delivery: () => {},
        lost: () => {},
        state: (consuming, reason) => void this.states.push(consuming ? 'consuming' : reason),
      },
      open: async (_, previous) => this.open(previous),
      ended: () => (this.hasEnded = true),
      ...options,
    });
  }

  get session(): ScriptedSession {
    return this.sessions[this.sessions.length - 1];
  }

  private async open(previous?: ScriptedSession): Promise<ScriptedSession> {
    const session = new ScriptedSession(previous);
    await this.script(session);
    this.attached.push(this.broker.clock.monotonic());
    this.sessions.push(session);
    if (this.lifetime === 0) session.end('ended secret at once');
    else if (this.lifetime < Infinity) this.broker.clock.after(this.lifetime, () => session.end('ended'));
    return session;
  }

  async started(): Promise<this> {
    await this.broker.connection.start();
    await this.consumer.start();
    return this;
  }
}

describe('starting', () => {
  it('resolves while there is no connection, and consumes as soon as there is one', async () => {
    const consuming = new Consuming();
    await consuming.consumer.start();
    expect(consuming.sessions).toHaveLength(0);
    await consuming.broker.connection.start();
    await consuming.broker.clock.advance(0);
    expect(consuming.consumer.consuming).toBe(true);
    expect(consuming.states).toEqual(['consuming']);
  });

  it('rejects where it can never consume, and does not try again', async () => {
    const consuming = new Consuming();
    const error = new TopologyMismatchError('another type');
    consuming.script = () => {
      throw error;
    };
    await expect(consuming.started()).rejects.toBe(error);
    await consuming.broker.clock.advance(10_000);
    expect(consuming.broker.warnings).toEqual([]);
  });

  it.each([new Error('no reply'), new NotConnectedError('no reply')])(
    'goes on trying over %s, with one warning for all attempts',
    async (error) => {
      const consuming = new Consuming();
      consuming.script = () => {
        throw error;
      };
      await consuming.started();
      await consuming.broker.clock.advance(10_000);
      expect(consuming.broker.warnings).toEqual(['Cannot consume from «q», trying again: no reply']);
      consuming.script = () => {};
      await consuming.broker.clock.advance(1_000);
      expect(consuming.consumer.consuming).toBe(true);
    },
  );

  it('closes a session that may not consume', async () => {
    const consuming = new Consuming();
    consuming.script = (session) => (session.refusal = new Error('in use'));
    await consuming.started();
    expect(consuming.session.told).toEqual(['consume', 'close']);
    expect(consuming.states).toEqual(['in use']);
  });

  it('does not warn when it is closed while it attaches', async () => {
    const consuming = new Consuming();
    let fail = (): void => {};
    consuming.script = () => new Promise((_, reject) => (fail = () => reject(new Error('Connection closing'))));
    await consuming.broker.connection.start();
    consuming.consumer.startInBackground();
    await consuming.broker.clock.advance(0);
    await consuming.consumer.close();
    fail();
    await consuming.broker.clock.advance(0);
    expect(consuming.broker.warnings).toEqual([]);
    expect(consuming.hasEnded).toBe(true);
  });

  it('a link that is gone while a session is opened is no failure', async () => {
    let opened = 0;
    const other: Consuming = new Consuming({
      open: async () => {
        opened++;
        if (opened === 1) other.broker.cut();
        return opened === 1 ? undefined : new ScriptedSession();
      },
    });
    await other.started();
    other.broker.mend();
    await other.broker.clock.advance(1_000);
    expect([opened, other.consumer.consuming, other.broker.warnings]).toEqual([2, true, []]);
  });
});

describe('a session that ends by itself', () => {
  it('is followed by the next one after longer and longer pauses, which is said', async () => {
    const consuming = new Consuming();
    consuming.lifetime = 0;
    await consuming.started();
    await consuming.broker.clock.advance(10_000);
    expect(consuming.attached.slice(0, 6)).toEqual([0, 100, 300, 700, 1_500, 2_500]);
    expect(consuming.attached).toHaveLength(13);
    expect(consuming.broker.warnings).toEqual([
      'Consuming from «q» ends again and again, trying again with growing pauses: ended *** at once',
    ]);
    expect(consuming.states.at(-1)).toBe('ended *** at once (13 times in a row)');
  });

  it('is followed after a short pause once it has lived as long as the longest one', async () => {
    const consuming = new Consuming();
    consuming.lifetime = 0;
    await consuming.started();
    await consuming.broker.clock.advance(4_000);
    consuming.lifetime = 1_000;
    const before = consuming.attached.length;
    await consuming.broker.clock.advance(4_000);
    const [first, second, third] = consuming.attached.slice(before);
    expect([second - first, third - second]).toEqual([1_100, 1_100]);
  });

  it('is handed to the next one, which may go on where it ended', async () => {
    const consuming = await new Consuming().started();
    const [first] = consuming.sessions;
    first.end('gone');
    await consuming.broker.clock.advance(100);
    expect(consuming.session).not.toBe(first);
    expect(consuming.session.previous).toBe(first);
  });

  it('with its connection is followed at once when that is back, whatever was before', async () => {
    const consuming = new Consuming();
    consuming.lifetime = 0;
    await consuming.started();
    await consuming.broker.clock.advance(4_000);
    consuming.lifetime = Infinity;
    await consuming.broker.clock.advance(1_000);
    consuming.broker.cut();
    consuming.session.end('the channel is gone');
    await consuming.broker.clock.advance(0);
    expect(consuming.states.at(-1)).toBe('the cable was cut');
    const before = consuming.attached.length;
    consuming.broker.opened = ({ number }) => number === 2 && consuming.states.push('connected');
    consuming.broker.mend();
    for (let ms = 0; ms < 100 && consuming.states.at(-1) === 'the cable was cut'; ms++)
      await consuming.broker.clock.advance(1);
    await consuming.broker.clock.advance(0);
    expect(consuming.attached).toHaveLength(before + 1);
  });
});

describe('pause and resume', () => {
  it('a consumer that is paused attaches without consuming, and resumes', async () => {
    const consuming = new Consuming();
    consuming.consumer.pause();
    await consuming.started();
    expect(consuming.session.told).toEqual(['pause']);
    consuming.consumer.resume();
    await consuming.broker.clock.advance(0);
    expect(consuming.session.told).toEqual(['pause', 'consume']);
    expect(consuming.states).toEqual(['paused', 'consuming']);
  });

  it('a session that cannot be resumed is closed, and another follows', async () => {
    const consuming = await new Consuming().started();
    const [first] = consuming.sessions;
    consuming.consumer.pause();
    first.refusal = new Error('not any more');
    consuming.consumer.resume();
    await consuming.broker.clock.advance(100);
    expect(first.told.at(-1)).toBe('close');
    expect(consuming.sessions).toHaveLength(2);
    expect(consuming.consumer.consuming).toBe(true);
  });
});

describe('stopping', () => {
  it('ends the intake, then the session once it is idle; only then it has ended', async () => {
    const consuming = await new Consuming().started();
    await consuming.consumer.stop();
    expect(consuming.session.told).toEqual(['consume', 'stop', 'finish']);
    await consuming.broker.clock.advance(0);
    expect(consuming.hasEnded).toBe(false);
    consuming.session.end('idle');
    await consuming.broker.clock.advance(0);
    expect(consuming.hasEnded).toBe(true);
    expect(consuming.states).toEqual(['consuming', 'stopped']);
  });

  it('while it attaches ends the session that comes, and waits for its end', async () => {
    const consuming = new Consuming();
    let come = (): void => {};
    consuming.script = () => new Promise<void>((resolve) => (come = resolve));
    await consuming.broker.connection.start();
    consuming.consumer.startInBackground();
    await consuming.broker.clock.advance(0);
    await consuming.consumer.stop();
    come();
    await consuming.broker.clock.advance(0);
    expect(consuming.session.told).toEqual(['stop', 'finish']);
    expect(consuming.hasEnded).toBe(false);
    consuming.session.end('idle');
    await consuming.broker.clock.advance(0);
    expect(consuming.hasEnded).toBe(true);
  });

  it.each([
    [true, ['consume', 'close']],
    [false, ['consume', 'stop', 'finish']],
  ])('gives back with the end of the session only where the broker does so in one step (%s)', async (can, told) => {
    const consuming = await new Consuming({ givesBackAtOnce: can }).started();
    await consuming.consumer.stop(true);
    expect(consuming.session.told).toEqual(told);
  });

  it('a close gives back what is unsettled', async () => {
    const consuming = await new Consuming().started();
    await consuming.consumer.close();
    expect(consuming.session.told).toEqual(['consume', 'stop', 'finish', 'close']);
  });
});

describe('a consumer that stands still', () => {
  it('attaches again with a new session', async () => {
    const consuming = await new Consuming().started();
    const [first] = consuming.sessions;
    consuming.consumer.attachAgain!('gets nothing');
    await consuming.broker.clock.advance(10_000);
    expect(first.told).toEqual(['consume', 'give up']);
    expect(consuming.sessions).toHaveLength(2);
    expect(consuming.broker.destroyed).toEqual([]);
    expect(consuming.states).toEqual(['consuming', 'gets nothing', 'consuming']);
  });

  it('gives up the connection whose session does not end', async () => {
    const consuming = await new Consuming().started();
    consuming.session.hangs = true;
    consuming.consumer.attachAgain!('gets nothing');
    await consuming.broker.clock.advance(5_000);
    expect(consuming.broker.destroyed).toEqual(['the broker does not end a consumer']);
  });

  it('is left alone where another one may be active', () => {
    expect(new Consuming({ mayStandBy: true }).consumer.attachAgain).toBeUndefined();
  });
});
