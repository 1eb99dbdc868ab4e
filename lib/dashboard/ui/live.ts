import { signal } from '@preact/signals';
import { get } from './api.js';
import type { Session, Snapshot } from './types.js';

export const snapshot = signal<Snapshot | undefined>(undefined);
export const session = signal<Session | undefined>(undefined);
export const link = signal<'live' | 'asks' | 'lost'>('asks');

const ASK_MS = 5_000;
const AGAIN_MS = 30_000;

let stream: EventSource | undefined;
let timer: number | undefined;
let lastTry = 0;

function merge(part: Partial<Snapshot>): void {
  snapshot.value = { ...snapshot.peek(), ...part } as Snapshot;
}

function listen(): void {
  window.clearTimeout(timer);
  lastTry = Date.now();
  stream = new EventSource('api/v1/live');
  stream.onmessage = ({ data }) => {
    link.value = 'live';
    merge(JSON.parse(data as string) as Partial<Snapshot>);
  };
  stream.onerror = () => {
    stream?.close();
    stream = undefined;
    void ask();
  };
}

/** Where there is no room for another stream, or it broke. */
async function ask(): Promise<void> {
  if (document.hidden) return;
  try {
    merge(await get<Snapshot>('snapshot'));
    link.value = 'asks';
  } catch {
    link.value = 'lost';
  }
  timer = window.setTimeout(() => (Date.now() - lastTry > AGAIN_MS ? listen() : void ask()), ASK_MS);
}

/** While the tab is hidden nothing is asked. */
export function follow(): void {
  listen();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      stream?.close();
      stream = undefined;
      window.clearTimeout(timer);
    } else if (!stream) listen();
  });
}
