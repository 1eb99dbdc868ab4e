import { MissingPeerError } from './configuration-errors.js';

/** An optional peer, as it is named when it is missing. */
export interface OptionalPeer {
  readonly name: string;
  readonly range: string;
  readonly neededBy: string;
}

/** Loads an optional peer. @throws MissingPeerError when it is not installed */
export async function loadPeer<T>({ name, range, neededBy }: OptionalPeer, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if ((code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND') && message?.includes(name))
      throw new MissingPeerError(name, range, neededBy);
    throw error;
  }
}
