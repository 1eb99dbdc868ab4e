import { assemble } from '../../messaging.assembly.js';
import { Messaging } from '../../messaging.js';
import { nestLog } from '../../messaging.log.js';
import { resolveOptions } from '../../messaging.options.js';
import type { RmqOptions } from './rmq-connection.js';
import { fromRmqOptions, type FromRmqOptions } from './rmq-options.js';
import { MessagingStrategy } from './strategy.js';

/**
 * In place of `{ transport: Transport.RMQ, options }` in `connectMicroservice` and `createMicroservice`, where nothing else
 * is to change: the handlers run on this package, on a connection of their own, which `strategy.unwrap()` gives.
 * @throws what `fromRmqOptions` throws
 */
export function rmqMicroservice(options: RmqOptions, from: FromRmqOptions): { readonly strategy: MessagingStrategy } {
  const { module, strategy } = fromRmqOptions(options, from);
  const resolved = resolveOptions(module);
  const name = 'microservice';
  const messaging = new Messaging(name, resolved, assemble(name, resolved, nestLog(`Messaging:${name}`)));
  return { strategy: new OwnConnectionStrategy(messaging, strategy) };
}

class OwnConnectionStrategy extends MessagingStrategy {
  override async listen(callback: (error?: unknown) => void): Promise<void> {
    const { messaging } = this;
    try {
      await messaging.connect();
    } catch (error) {
      await messaging.close();
      return callback(error);
    }
    await super.listen(callback);
    messaging.startCounting();
  }

  override async close(): Promise<void> {
    await super.close();
    await this.messaging.close();
  }
}
