import { describe, expect, test } from '@jest/globals';
import { printable, printableJson } from '../../../lib/errors/printable.js';
import { redactedLog } from '../../../lib/events/log.js';

/** Control characters, line ends, directions, what is invisible, a half of a character. */
const STEERING = '\0\t\r\n\u001b[2J\u007f\u009b\u00ad\u061c\u200b\u200e\u202e\u2028\u2066\ufeff\u{e0041}\ud800';
const WRITTEN_OUT =
  '\\u0000\\u0009\\u000d\\u000a\\u001b[2J\\u007f\\u009b\\u00ad\\u061c\\u200b\\u200e\\u202e\\u2028\\u2066\\ufeff\\u{e0041}\\ud800';

describe('what steers a terminal', () => {
  test('is written out, and nothing else is', () => {
    expect(printable(STEERING)).toBe(WRITTEN_OUT);
    for (const text of ['', 'Zürich ✓ 東京 עברית العربية', '👨‍👩‍👧', 'نمی‌خواهم', '\\u202e'])
      expect(printable(text)).toBe(text);
  });

  test('is written out in JSON, which means the same', () => {
    const value = { [STEERING]: [STEERING], family: '👨‍👩‍👧' };
    for (const indent of [undefined, 2]) {
      const json = printableJson(value, indent);
      expect(JSON.parse(json)).toEqual(value);
      expect(printable(json.replaceAll('\n', ''))).toBe(json.replaceAll('\n', ''));
    }
  });

  test('reaches no log, at any level', () => {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const log = redactedLog({ log: write, warn: write, error: write, debug: write });
    for (const level of ['log', 'warn', 'error', 'debug'] as const) log[level](`failed: ${STEERING}`);
    expect(lines).toEqual(Array.from({ length: 4 }, () => `failed: ${WRITTEN_OUT}`));
  });
});
