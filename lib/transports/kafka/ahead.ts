/** What the metadata of a place begins with; other clients may have written theirs. */
const PREFIX = 'nestjs-messaging:';
/** So far ahead of a place can be told: a broker keeps 4,096 characters with it unless told otherwise. */
export const MOST_AHEAD = 20_000;

/** What is settled ahead of a place: the next process of the group is not given it again. */
export interface Ahead {
  readonly offsets: ReadonlySet<number>;
  readonly first: number;
  /** The time of the first, so that what is in another log at the same place is not taken for it. */
  readonly firstAt: number;
}

/** As text that is kept with the place. Empty: nothing is. */
export function writeAhead(place: number, times: ReadonlyMap<number, number>): string {
  let [first, last] = [Infinity, -1];
  for (const offset of times.keys()) {
    if (offset < place || offset >= place + MOST_AHEAD) continue;
    first = Math.min(first, offset);
    last = Math.max(last, offset);
  }
  if (last < 0) return '';
  const bits = Buffer.alloc(((last - place) >> 3) + 1);
  for (const offset of times.keys())
    if (offset >= place && offset <= last) bits[(offset - place) >> 3] |= 1 << ((offset - place) & 7);
  return `${PREFIX}${times.get(first)}:${bits.toString('base64')}`;
}

export function readAhead(place: number, text = ''): Ahead | undefined {
  if (!text.startsWith(PREFIX)) return undefined;
  const [firstAt, bits = ''] = text.slice(PREFIX.length).split(':');
  const offsets = new Set<number>();
  for (const [at, byte] of Buffer.from(bits, 'base64').entries())
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) offsets.add(place + at * 8 + bit);
  const [first = -1] = offsets;
  return { offsets, first, firstAt: Number(firstAt) };
}
