/** Why a message was given up; the value of the header `messaging-reason`. */
export type DeadLetterReason =
  /** Every handler call its retry policy allows has failed. */
  | 'attempts-exhausted'
  /** The handler, a guard, a pipe or the policy said that trying again cannot help. */
  | 'unrecoverable'
  /** The bytes are not what they say they are. */
  | 'undecodable'
  /** Its time to live ran out before a handler call. */
  | 'expired'
  /** The message was delivered three times without being settled: it kills the process that handles it. */
  | 'crashed'
  /** The message failed until the time was over for which it may hold up the messages of its key. */
  | 'hold-exceeded'
  /** Several handlers share the queue, and none of them is for the message. */
  | 'no-handler'
  /** The payload does not fit its schema. */
  | 'invalid';
