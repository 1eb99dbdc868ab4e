import { brand } from '../errors/brand.js';
import { MessagingError } from '../errors/messaging-error.js';
import type { OwnedFile, QueueDirectory } from './queue-directory.js';

/** Somebody is using the directory: stop it first. */
export class DirectoryInUseError extends MessagingError {
  readonly code = 'DIRECTORY_IN_USE';
  readonly retryable = true;

  constructor(
    readonly directory: string,
    user: 'service' | 'application',
  ) {
    super(`${directory} is in use by a running ${user}: stop it first`);
  }
}

/** Owns all files of a directory, or those of these names, until each lock is released; or none. @throws DirectoryInUseError */
export function claimAll(
  directory: QueueDirectory,
  user: 'service' | 'application',
  names: readonly string[] = directory.names(),
): OwnedFile[] {
  const claimed: OwnedFile[] = [];
  try {
    for (const name of names) {
      const owned = directory.claim(name);
      if (!owned) throw new DirectoryInUseError(directory.path, user);
      claimed.push(owned);
    }
    return claimed;
  } catch (error) {
    for (const { lock } of claimed) lock.release();
    throw error;
  }
}

brand({ DirectoryInUseError });
