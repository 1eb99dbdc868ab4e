/** FNV-1a, 32 bits: the same for the same text in every process and release. */
export function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}

/**
 * The partition of a key. The hash is mixed once more (the finalizer of MurmurHash3), or the keys of one partition would
 * share a few lanes. Messages wait in partitions by it: it must never change.
 */
export function partitionOf(key: string, partitions: number): number {
  let value = hashOf(key);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) % partitions;
}
