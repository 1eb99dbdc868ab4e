import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Messaging, Publisher } from 'nestjs-messaging';
import { reportDue } from './report.js';
import { ReportsService, type Written } from './reports.service.js';

@Controller('reports')
export class ReportsController {
  constructor(
    private readonly reports: ReportsService,
    private readonly messaging: Messaging,
    private readonly publisher: Publisher,
  ) {}

  @Get()
  written(): { written: readonly Written[]; state: unknown } {
    const [{ state, reason }] = this.messaging.health().consumers;
    return { written: this.reports.written.slice(-20), state: reason ?? state };
  }

  @Post('pause')
  @HttpCode(200)
  async pause(): Promise<{ pausedUntil: Date }> {
    return { pausedUntil: await this.messaging.pauseEverywhere('report.due') };
  }

  @Post('resume')
  @HttpCode(200)
  async resume(): Promise<{ paused: false }> {
    await this.messaging.resumeEverywhere('report.due');
    return { paused: false };
  }

  /** However often it is asked for, in whichever process: once a minute. */
  @Post('now')
  @HttpCode(202)
  async now(): Promise<{ id: string; duplicate: boolean }> {
    const unique = { key: 'now', for: 60_000 };
    const { id, duplicate = false } = await this.publisher.publish(
      reportDue,
      { until: new Date().toISOString() },
      { unique },
    );
    return { id, duplicate };
  }
}
