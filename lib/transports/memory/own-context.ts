import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Calls a function as a broker of its own process would: outside of the async context (`AsyncLocalStorage`, an active
 * span) of whoever published or settled at this moment, which the callbacks of a promise or timer would carry on.
 */
export const inOwnContext: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();
