import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { RequeueService } from '../requeue/requeue.service.js';
import { told } from './indicator-result.js';

export interface RequeueHealthOptions {
  /**
   * `readiness` (default): down while there is no connection. `liveness`: up as long as the process can answer, whatever
   * the server does; what it holds is on its disk either way.
   */
  readonly for?: 'readiness' | 'liveness';
}

/**
 * Reports the requeue service of an application (`RequeueService.health()`) to Terminus 11 and 12. Provide it in the module
 * that has the health controller. A probe asks nobody.
 */
@Injectable()
export class RequeueHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @throws InvalidOptionError when no RequeueModule is imported */
  isHealthy<Key extends string>(key: Key, options: RequeueHealthOptions = {}): HealthIndicatorResult<Key> {
    return told(this.indicators.check(key), this.service().health(), options.for);
  }

  private service(): RequeueService {
    try {
      return this.moduleRef.get(RequeueService, { strict: false });
    } catch {
      throw new InvalidOptionError('RequeueHealthIndicator', undefined, 'used where a RequeueModule is imported');
    }
  }
}
