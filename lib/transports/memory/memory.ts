import { knownKeys } from '../../errors/option-checks.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import type { TransportFactory } from '../../transport/transport.js';
import { MemoryBroker } from './memory-broker.js';
import { DEFAULT_TOPIC, requireInteger } from './memory-options.js';
import { MemoryTransport } from './memory-transport.js';

/** Options of `memory()`. */
export interface MemoryOptions {
  /** The broker to connect to, shared with whoever else has it. Left out: each application gets one of its own. */
  readonly broker?: MemoryBroker;
  /** The topic of publishes and subscriptions that name none. Default `events`. */
  readonly topic?: string;
  /** The most ready messages per queue of an own broker; a publish above fails and is retried. Default 1 000 000. */
  readonly maxMessages?: number;
  /** The largest body in bytes, at most the broker's. Default the broker's, 16 MiB. */
  readonly maxBytes?: number;
}

/**
 * The transport inside the process, the default of `MessagingModule.forRoot()`. Nothing of it outlives the process.
 * Throws InvalidOptionError for an option that is not what it must be.
 */
export function memory(options: MemoryOptions = {}): TransportFactory {
  knownKeys('', options, ['broker', 'topic', 'maxMessages', 'maxBytes']);
  const { broker, topic = DEFAULT_TOPIC, maxMessages, maxBytes } = options;
  if (typeof topic !== 'string' || topic === '')
    throw new InvalidOptionError('topic', topic, 'a text that is not empty');
  if (broker === undefined) {
    const own = { maxMessages, maxBytes };
    new MemoryBroker(own); // throws now, not when the application starts
    return factory(() => new MemoryBroker(own), topic, maxBytes);
  }
  if (!(broker instanceof MemoryBroker)) throw new InvalidOptionError('broker', broker, 'a MemoryBroker');
  if (maxMessages !== undefined) {
    throw new InvalidOptionError(
      'maxMessages',
      maxMessages,
      'nothing where `broker` is given: it is an option of the broker',
    );
  }
  if (maxBytes !== undefined && requireInteger('maxBytes', maxBytes, 1) > broker.maxBytes) {
    throw new InvalidOptionError('maxBytes', maxBytes, `at most the broker's own, ${broker.maxBytes}`);
  }
  return factory(() => broker, topic, maxBytes);
}

function factory(brokerOf: () => MemoryBroker, topic: string, maxBytes: number | undefined): TransportFactory {
  return {
    system: 'memory',
    topic,
    create() {
      const broker = brokerOf();
      return new MemoryTransport(broker, topic, maxBytes ?? broker.maxBytes);
    },
  };
}
