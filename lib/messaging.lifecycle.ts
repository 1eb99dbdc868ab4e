import type { OnApplicationShutdown, OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import type { Messaging } from './messaging.js';
import type { MessagingExplorer } from './messaging.explorer.js';

/**
 * Connects before other modules start, and declares what the application subscribes to, so that they can publish to it
 * from their own `onModuleInit`; and closes after they stopped, so that they can publish while they do. A global module is initialised first and destroyed last.
 */
export class MessagingLifecycle implements OnModuleInit, OnModuleDestroy, OnApplicationShutdown {
  constructor(
    private readonly messaging: Messaging,
    private readonly explorer: Pick<MessagingExplorer, 'declare' | 'close'>,
  ) {}

  async onModuleInit(): Promise<void> {
    try {
      await this.messaging.connect(() => this.explorer.declare(this.messaging));
    } catch (error) {
      await this.explorer.close();
      throw error;
    }
  }

  /** The intake was stopped earlier (see messaging.intake.module.ts); this is for when that was not reached. */
  async onModuleDestroy(): Promise<void> {
    await this.messaging.stopIntake();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.messaging.close();
  }
}
