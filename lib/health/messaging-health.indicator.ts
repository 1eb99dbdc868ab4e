import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { messagingOf } from '../messaging.lookup.js';
import { told } from './indicator-result.js';

export interface MessagingHealthOptions {
  /** The connection to report, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
  /**
   * `readiness` (default): down while there is no connection. `liveness`: up as long as the process can answer, whatever
   * the broker does, because a restart would lose what waits in memory.
   */
  readonly for?: 'readiness' | 'liveness';
}

/**
 * Reports `messaging.health()` to Terminus 11 and 12. Provide it in the module that has the health controller. A probe
 * reads memory only. Degraded is `up` to Terminus 11, which has no word for it; `status` in the details tells.
 */
@Injectable()
export class MessagingHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @throws InvalidOptionError when there is no such connection */
  isHealthy<Key extends string>(key: Key, options: MessagingHealthOptions = {}): HealthIndicatorResult<Key> {
    return told(
      this.indicators.check(key),
      messagingOf(this.moduleRef, 'connection', options.connection).health(),
      options.for,
    );
  }
}
