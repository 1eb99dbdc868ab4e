import { monotonic } from './message.mjs';

/**
 * The handler of both sides. Measures from the message number `skip` to the message number `count`. A paced message's
 * latency runs from its publish to its handler, else it is the time from one handler call to the next.
 */
export class Intake {
  constructor(meter, { kind, count, skip }) {
    this.paced = kind === 'paced';
    this.left = count;
    this.skip = skip;
    this.meter = meter;
    this.done = new Promise((resolve) => (this.finish = resolve));
    if (count === 0) this.finish();
  }

  handle(body) {
    // The instant broker goes on until the consumer is gone.
    if (this.left === 0) return;
    if (this.skip > 0) {
      this.left--;
      if (--this.skip === 0) this.begin();
      return;
    }
    const now = monotonic();
    this.meter.add(now - (this.paced ? body.at / 1_000 : this.last));
    this.last = now;
    if (--this.left === 0) this.finish(this.meter.stop());
  }

  /** For handlers that wait for something. */
  async handleLater(body) {
    this.handle(body);
  }

  begin() {
    this.meter.start({ collect: !this.paced });
    this.last = monotonic();
  }
}
