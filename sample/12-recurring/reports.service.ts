import { Injectable, Logger } from '@nestjs/common';
import { MessageContext, Subscribe } from 'nestjs-messaging';
import { Recurring, type RecurringFire } from 'nestjs-messaging/recurring';
import { type Report, reportDue } from './report.js';

export interface Written extends Report {
  readonly id: string;
}

/** Says that a report is due, and writes it: perhaps in another process. */
@Injectable()
export class ReportsService {
  readonly written: Written[] = [];
  private readonly logger = new Logger('Reports');

  @Recurring('* * * * * *', reportDue, { timeZone: 'Europe/Berlin', missed: 'once' })
  due({ at }: RecurringFire): Report {
    return { until: at.toISOString() };
  }

  @Subscribe(reportDue, { idempotent: true, limit: { rate: 2, per: 1_000, concurrency: 1 } })
  write(report: Report, { id }: MessageContext): void {
    this.written.push({ ...report, id });
    this.logger.log(`The report until ${report.until} is written`);
  }
}
