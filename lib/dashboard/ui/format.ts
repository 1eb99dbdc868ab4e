import { printable } from '../../errors/printable.js';

/** Text of messages, in which what cannot be seen is written out; lines stay lines. */
export function seen(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

export function time(ms: number | undefined): string {
  if (ms === undefined) return 'unknown';
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

export function ago(ms: number | undefined, now = Date.now()): string {
  if (ms === undefined) return 'unknown';
  return `${duration(now - ms)} ago`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function count(value: number | undefined): string {
  return value === undefined ? '–' : value.toLocaleString('en');
}

export function bytes(value: number): string {
  if (value < 1_024) return `${value} bytes`;
  return value < 1_048_576 ? `${(value / 1_024).toFixed(1)} KiB` : `${(value / 1_048_576).toFixed(1)} MiB`;
}
