/** A request that is not done, with the status that says so, in words for whoever asked. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details?: object,
  ) {
    super(message);
  }
}

/** What was asked for does not fit what is there now. */
export class ConflictError extends Refusal {
  constructor(message: string, details?: object) {
    super(409, message, details);
  }
}
