import type { Clock } from './clock.js';

/** How long an answer may take. */
export interface AnswerTimeout {
  readonly clock: Clock;
  readonly ms: number;
}

/** Gives the answer, or rejects when it does not come in time: then `late` is called, and the answer is dropped. */
export function answered<T>(answer: Promise<T>, { clock, ms }: AnswerTimeout, late: () => void = () => {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(
      ms,
      () => {
        reject(new Error(`no answer within ${ms} ms`));
        late();
      },
      { background: true },
    );
    answer.then(resolve, reject).finally(cancel);
  });
}
