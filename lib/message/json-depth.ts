const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Whether JSON text nests arrays and objects deeper than `limit`, found without parsing it. */
export function exceedsJsonDepth(json: Uint8Array, limit: number): boolean {
  // Each level takes an opening and a closing byte.
  if (json.length <= limit * 2 || !hasMoreOpenings(json, limit)) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case QUOTE:
        at = endOfString(json, at);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        if (++depth > limit) return true;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
    }
  }
  return false;
}

/** The usual answer is no, and finding single bytes is fast. */
function hasMoreOpenings(json: Uint8Array, limit: number): boolean {
  let found = 0;
  for (const opening of [OPEN_OBJECT, OPEN_ARRAY]) {
    for (let at = json.indexOf(opening); at !== -1; at = json.indexOf(opening, at + 1))
      if (++found > limit) return true;
  }
  return false;
}

function endOfString(json: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
