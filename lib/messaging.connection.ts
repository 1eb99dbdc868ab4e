import { connectionAdvice } from './health/connection-advice.js';
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
  let wasLost = false;
  const tellLost = (reason: string): void => {
    const { host, system } = transport;
    if (parts.isClosing()) return;
    log.warn(`Not connected to ${system} at ${host}: ${reason}. ${connectionAdvice(reason)}`, { system, host, reason });
  };
  return (event) => {
    const { host, system } = transport;
    switch (event.type) {
      case 'connected':
        state.set('connected');
        // Of the embedded broker its own line has told already.
        if (system !== 'memory' || wasLost) log.log(`Connected to ${system} at ${host}`, { system, host });
        wasLost = false;
        events.emit('connected', { host });
        if (parts.isDeclaring()) return dispatcher.suspend(DECLARING);
        return dispatcher.resume();
      case 'disconnected': {
        const reason = redactCredentials(event.reason);
        state.set('connecting', reason);
        wasLost = true;
        tellLost(reason);
        events.emit('disconnected', { host, reason });
        return dispatcher.suspend(`There is no connection to the broker: ${reason}`);
      }
      case 'blocked':
        if (!state.connected) return;
        state.set('blocked', event.reason);
        log.warn(`The broker blocks publishing: ${event.reason}. ${connectionAdvice(event.reason, true)}`);
        events.emit('blocked', { reason: event.reason });
        return dispatcher.suspend(`The broker blocks publishing: ${event.reason}`);
      case 'unblocked':
        if (!state.blocked) return;
        state.set('connected');
        events.emit('unblocked', {});
        if (parts.isDeclaring()) return dispatcher.suspend(DECLARING);
        return dispatcher.resume();
      case 'warning': {
        if (event.reason === undefined || state.connected) return log.warn(event.message);
        // Every connection of the transport tells for itself what is one trouble: told once, and again when it changes.
        const reason = redactCredentials(event.reason);
        if (state.isBecauseOf(reason)) return;
        state.set('connecting', reason);
        tellLost(reason);
      }
    }
  };
}
