import type { Attributes } from '@opentelemetry/api';
import { attribute } from './conventions.js';
import { OTHER_ERROR } from './error-type.js';

/** One operation at one destination, in the words of the conventions. */
export interface Operation {
  readonly name: string;
  readonly type: 'send' | 'receive' | 'process' | 'settle';
  /** Left out: too many destinations to name each. */
  readonly destination?: string;
  /** What stands for many destinations, instead of their names. */
  readonly template?: string;
  readonly group?: string;
}

/** Attributes of a measurement. */
export interface MetricLabels {
  /** Of counters and of `messaging.process.duration`. */
  readonly counted: Attributes;
  /** Of `messaging.client.operation.duration`, which tells the type of the operation too. */
  readonly timed: Attributes;
}

/** Errors that are told apart at one destination. */
const MAX_ERRORS = 50;

/** The attributes of one operation at one destination: made once, so that a message costs none of it. */
export class Labels {
  readonly spanName: string;
  /** Of a span, from its beginning. */
  readonly span: Attributes;
  readonly succeeded: MetricLabels;
  /** The labels say the destination's own name. */
  readonly named: boolean;
  private readonly failures = new Map<string, MetricLabels>();

  constructor(operation: Operation, shared: Attributes) {
    const { name, type, destination, template, group } = operation;
    const place = template ?? destination;
    this.spanName = place === undefined ? name : `${name} ${place}`;
    const counted = Object.freeze({
      ...shared,
      [attribute.operationName]: name,
      ...(destination !== undefined && { [attribute.destination]: destination }),
      ...(template !== undefined && { [attribute.template]: template }),
      ...(group !== undefined && { [attribute.group]: group }),
    });
    const timed = Object.freeze({ ...counted, [attribute.operationType]: type });
    this.span = timed;
    this.named = destination !== undefined;
    this.succeeded = { counted, timed };
  }

  failed(type: string): MetricLabels {
    const known = this.failures.get(type);
    if (known) return known;
    if (this.failures.size >= MAX_ERRORS && type !== OTHER_ERROR) return this.failed(OTHER_ERROR);
    const labels = {
      counted: Object.freeze({ ...this.succeeded.counted, [attribute.errorType]: type }),
      timed: Object.freeze({ ...this.succeeded.timed, [attribute.errorType]: type }),
    };
    this.failures.set(type, labels);
    return labels;
  }
}
