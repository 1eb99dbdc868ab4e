import { redactCredentials } from './errors/redact.js';
import type { Log } from './events/log.js';
import type { MessagingEvents } from './events/messaging-events.js';
import type { ConnectionState } from './health/connection-state.js';
import type { Dispatcher } from './publisher/dispatcher.js';
import type { Transport, TransportEvent } from './transport/transport.js';

/** Why nothing is sent while the application starts. */
const DECLARING = 'What the application subscribes to is being declared';

export interface ConnectionParts {
  readonly transport: Transport;
  readonly state: ConnectionState;
  readonly dispatcher: Dispatcher;
  readonly events: MessagingEvents;
  readonly log: Log;
  isClosing(): boolean;
  /** What the application subscribes to is not declared yet: what it publishes would be unroutable. */
  isDeclaring(): boolean;
}

/** What the transport tells of its connection, for all who have to know: health, the publisher, listeners, the log. */
export function connectionListener(parts: ConnectionParts): (event: TransportEvent) => void {
  const { transport, state, dispatcher, events, log } = parts;
  return (event) => {
    const { host, system } = transport;
    switch (event.type) {
      case 'connected':
        state.set('connected');
        log.log(`Connected to ${system} at ${host}`);
        events.emit('connected', { host });
        if (parts.isDeclaring()) return dispatcher.suspend(DECLARING);
        return dispatcher.resume();
      case 'disconnected': {
        const reason = redactCredentials(event.reason);
        state.set('connecting', reason);
        if (!parts.isClosing()) log.warn(`Not connected to ${system} at ${host}: ${reason}`);
        events.emit('disconnected', { host, reason });
        return dispatcher.suspend(`There is no connection to the broker: ${reason}`);
      }
      case 'blocked':
        if (!state.connected) return;
        state.set('blocked', event.reason);
        log.warn(`The broker blocks publishing: ${event.reason}`);
        events.emit('blocked', { reason: event.reason });
        return dispatcher.suspend(`The broker blocks publishing: ${event.reason}`);
      case 'unblocked':
        if (!state.blocked) return;
        state.set('connected');
        events.emit('unblocked', {});
        if (parts.isDeclaring()) return dispatcher.suspend(DECLARING);
        return dispatcher.resume();
      case 'warning':
        log.warn(event.message);
    }
  };
}
