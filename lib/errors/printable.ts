/**
 * Control characters, line ends, what turns the direction of a text or cannot be seen (Unicode's format characters), and
 * halves of characters. The joiners of scripts and emoji are not among them: they steer nothing.
 */
const UNSEEN = /(?!\u200c|\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Whatever comes from messages may steer a terminal, or be taken for a line of its own: what cannot be seen is written out. */
export function printable(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0)!;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : escaped(code);
  });
}

/** JSON that steers no terminal either, with the same meaning. */
export function printableJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  return text.replace(UNSEEN, (character) =>
    character === '\n'
      ? character
      : [...Array(character.length).keys()].map((at) => escaped(character.charCodeAt(at))).join(''),
  );
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
