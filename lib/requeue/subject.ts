const MAX_SUBJECT_BYTES = 1_024;

/** Whether a subject can be published to: words without blanks and wildcards between dots. */
export function isPublishSubject(subject: string): boolean {
  if (subject === '' || Buffer.byteLength(subject) > MAX_SUBJECT_BYTES || hasBlank(subject)) return false;
  return subject.split('.').every((word) => word !== '' && word !== '*' && word !== '>');
}

/** Whether a subject can be subscribed to: `*` stands for one word, a last `>` for one or more. */
export function isSubjectPattern(pattern: string): boolean {
  if (pattern === '' || Buffer.byteLength(pattern) > MAX_SUBJECT_BYTES || hasBlank(pattern)) return false;
  const words = pattern.split('.');
  return words.every((word, at) => word !== '' && (word !== '>' || at === words.length - 1));
}

/** The pattern a service listens to. */
export class IngressSubject {
  /** What stands before the first wildcard, with its dot; '' where there is none. */
  readonly prefix: string;
  private readonly words: readonly string[];

  constructor(readonly pattern: string) {
    this.words = pattern.split('.');
    const wildcard = this.words.findIndex((word) => word === '*' || word === '>');
    this.prefix = wildcard <= 0 ? '' : `${this.words.slice(0, wildcard).join('.')}.`;
  }

  /** The subject without the prefix; undefined where nothing is left, or there is no prefix. */
  strip(subject: string): string | undefined {
    if (this.prefix === '' || !subject.startsWith(this.prefix)) return undefined;
    return subject.slice(this.prefix.length) || undefined;
  }

  matches(subject: string): boolean {
    const words = subject.split('.');
    for (let at = 0; at < this.words.length; at++) {
      const wanted = this.words[at];
      if (wanted === '>') return words.length > at;
      if (at >= words.length || (wanted !== '*' && wanted !== words[at])) return false;
    }
    return words.length === this.words.length;
  }
}

function hasBlank(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /[\s\u0000-\u001f\u007f]/.test(text);
}
