import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';
import { checkBoolean, knownKeys, oneOf } from '../errors/option-checks.js';
import { isStandardSchema, type StandardSchema } from '../message/standard-schema.js';

/** How messages that ask for a reply are answered. */
export interface AnswerOptions {
  /** Answer also where the handler returns nothing, and with its error, as `@Respond` does. Default false: with a value only. */
  readonly always?: boolean;
  /** Checks what the handler returns. Default: none. */
  readonly schema?: StandardSchema;
  /**
   * Requests that are not handled when the application stops: `give-back`, another process gets them; `unavailable`, they
   * are answered with the error UNAVAILABLE. Default `give-back`.
   */
  readonly onShutdown?: 'give-back' | 'unavailable';
}

/** Whether and how the messages of a subscription are answered. */
export interface AnswerDefinition {
  /** `always`: with the value or the error of the handler. `value`: with a value, where there is one. `never`: not at all. */
  readonly when: 'always' | 'value' | 'never';
  /** Why not, in words. */
  readonly because: string;
  readonly onShutdown: 'give-back' | 'unavailable';
}

/** Whoever asks is told of in the log, once. `because`: as it stands behind «gets none:». */
export function answersNobody(because: string): AnswerDefinition {
  return { when: 'never', because, onShutdown: 'give-back' };
}

/** @throws InvalidOptionError, UnsupportedError for what has to answer where nobody can */
export function defineAnswers(
  given: boolean | AnswerOptions,
  { system, replies }: { readonly system: string; readonly replies: boolean },
): AnswerDefinition {
  const options = typeof given === 'boolean' ? {} : given;
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('answers', given, 'true, false, or { always?, schema?, onShutdown? }');
  knownKeys('answers', options, ['always', 'schema', 'onShutdown']);
  const { always = false, schema, onShutdown = 'give-back' } = options;
  oneOf('answers.onShutdown', onShutdown, ['give-back', 'unavailable']);
  if (schema !== undefined && !isStandardSchema(schema))
    throw new InvalidOptionError('answers.schema', schema, 'a schema with the Standard Schema interface («~standard»)');
  if (checkBoolean('answers.always', always) && !replies)
    throw new UnsupportedError(
      `Requests are not supported on ${system}: a responder (@Respond, «answers.always») could answer nobody. Give it a connection to a broker that has replies (docs/request-reply.md), or use @Subscribe`,
    );
  if (given === false)
    return { when: 'never', because: 'the subscription does not answer (answers: false)', onShutdown };
  if (!replies) return { when: 'never', because: `replies are not supported on ${system}`, onShutdown };
  return { when: always ? 'always' : 'value', because: '', onShutdown };
}
