import { computed, signal } from '@preact/signals';

const hash = signal(location.hash);
window.addEventListener('hashchange', () => (hash.value = location.hash));

/** The page, by what stands behind the #. */
export const route = computed(() => {
  const [path, search] = hash.value.replace(/^#\/?/, '').split('?', 2);
  return { parts: path.split('/').map(decodeURIComponent), search: new URLSearchParams(search) };
});

/** An address of a page here, whatever is before the #. */
export function to(path: string, search: Record<string, string> = {}): string {
  const given = Object.entries(search).filter(([, value]) => value !== '');
  const query = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return `${location.pathname}#/${path}${query}`;
}

export function go(path: string, search: Record<string, string> = {}): void {
  location.href = to(path, search);
}
