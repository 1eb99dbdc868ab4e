import type { TransportDescription } from '../transport/description.js';
import type { Topology } from '../transport/topology.js';
import { hasWildcard, wordsOf } from '../transport/topic-pattern.js';
import type { Json } from './json.js';

/** A channel before its messages are known. */
export interface Channel {
  readonly key: string;
  readonly content: Json;
}

/** A route or pattern as an address: `user.*.signed` is `user.{word1}.signed`. */
export function addressOf(route: string): { readonly address: string; readonly parameters?: Json } {
  if (!hasWildcard(route)) return { address: route };
  const parameters: Record<string, unknown> = {};
  const words = wordsOf(route).map((word) => {
    if (word !== '*' && word !== '#') return word;
    const name = `${word === '*' ? 'word' : 'words'}${Object.keys(parameters).length + 1}`;
    const description = word === '*' ? 'One word' : 'Any number of words, separated by dots; also none';
    parameters[name] = { description, 'x-pattern': word };
    return `{${name}}`;
  });
  return { address: words.join('.'), parameters };
}

export type RoutePlace = Pick<Topology, 'topic' | 'native'>;

/** Where a route is published. */
export function routeChannel(route: string, at: RoutePlace, protocol: TransportDescription): Json {
  const bindings = protocol.route?.(route, at);
  return {
    ...addressOf(route),
    title: route,
    ...(bindings && { bindings }),
    'x-nestjs-messaging-route': { route, topic: at.topic },
  };
}

/** What is consumed. The queue of a process alone has a parameter in its name. */
export function queueChannel(queue: string, topology: Topology, protocol: TransportDescription): Json {
  const { patterns, topic, deadLetter, partitions, exclusive } = topology;
  const { bindings, details } = protocol.queue?.({ ...topology, queue }, queue) ?? {};
  return {
    address: queue,
    title: queue,
    ...(exclusive && {
      parameters: { instance: { description: 'The host and a random text: each process has its own' } },
    }),
    ...(bindings && { bindings }),
    'x-nestjs-messaging-queue': {
      ...{ routes: [...patterns].sort(), topic, partitions, exclusive, ...details },
      ...(deadLetter && { deadLetter: deadLetter.queue }),
    },
  };
}

/** Where given-up messages are kept; nothing consumes it. */
export function deadLetterChannel(queue: string, topology: Topology, protocol: TransportDescription): Json {
  const { bindings, details } = protocol.queue?.(topology, queue) ?? {};
  return {
    address: queue,
    title: queue,
    ...(bindings && { bindings }),
    'x-nestjs-messaging-queue': { deadLetters: true, ...details },
  };
}
