import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { Outbox } from '../outbox/outbox.js';
import { getOutboxToken } from '../outbox/outbox.module.js';
import { told } from './indicator-result.js';

export interface OutboxHealthOptions {
  /** The connection whose outbox is reported, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
  /**
   * `readiness` (default): down while the database of the outbox cannot be reached. `liveness`: up as long as the process can
   * answer; what is in the outbox is safe either way.
   */
  readonly for?: 'readiness' | 'liveness';
}

/**
 * Reports `outbox.health()` to Terminus 11 and 12: how many messages wait, for how long, whether they are sent, and who holds
 * them back. Provide it in the module that has the health controller. A probe reads memory only.
 */
@Injectable()
export class OutboxHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @throws InvalidOptionError when there is no outbox of this connection */
  isHealthy<Key extends string>(key: Key, options: OutboxHealthOptions = {}): HealthIndicatorResult<Key> {
    return told(this.indicators.check(key), this.outbox(options.connection).health(), options.for);
  }

  private outbox(connection: string | undefined): Outbox {
    try {
      return this.moduleRef.get<Outbox>(getOutboxToken(connection), { strict: false });
    } catch {
      throw new InvalidOptionError('connection', connection, 'the name of a connection that an OutboxModule has');
    }
  }
}
