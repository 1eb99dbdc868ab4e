import type { MessageProperties, WireMessage } from './message.js';

/** Without a priority: a broker that goes by it would hand the copy out ahead of what came before it. */
export function copiedProperties({ properties }: WireMessage): MessageProperties {
  if (properties.priority === undefined) return properties;
  const { priority: _, ...others } = properties;
  return others;
}
