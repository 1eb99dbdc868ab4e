import { Logger, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DiscoveryModule, ModulesContainer } from '@nestjs/core';
import { type CancelTimer, systemClock } from './clock/clock.js';
import { nestLog } from './messaging.log.js';
import { watchShutdownHooks } from './messaging.shutdown-hooks.js';
import { MessagingEnhancers } from './messaging.enhancers.js';
import { MessagingExplorer } from './messaging.explorer.js';

/** Nearer to the root than the root module itself, whose distance is 1. */
const NEAREST = 0;

/**
 * Starts the decorated subscriptions of every connection after all other modules have started, and stops the intake
 * before any other module stops: a running handler still finds its database.
 *
 * Nest calls init hooks by decreasing and destroy hooks by increasing distance from the root module, and gives global
 * modules the largest; hence this module of its own, with the smallest. Where a future Nest ignores the distance, the
 * hooks run in the usual place: still before connections close, but perhaps after another module's `onModuleDestroy`.
 */
@Module({
  imports: [DiscoveryModule],
  providers: [MessagingExplorer, MessagingEnhancers],
  exports: [MessagingExplorer],
})
export class MessagingIntakeModule implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Messaging');
  private cancelLook: CancelTimer | undefined;

  constructor(
    private readonly explorer: MessagingExplorer,
    modules: ModulesContainer,
  ) {
    for (const module of modules.values()) {
      if (module.metatype === MessagingIntakeModule) module.distance = NEAREST;
    }
  }

  async onApplicationBootstrap(): Promise<void> {
    this.cancelLook = watchShutdownHooks(systemClock, nestLog('Messaging'), process);
    try {
      await this.explorer.start();
    } catch (error) {
      await this.explorer.close();
      throw error;
    }
  }

  async onModuleDestroy(): Promise<void> {
    this.cancelLook?.();
    const results = await Promise.allSettled(this.explorer.connections().map((messaging) => messaging.stopIntake()));
    for (const result of results) {
      if (result.status === 'rejected') this.logger.error(`The intake could not be stopped: ${String(result.reason)}`);
    }
  }
}
