import { message } from 'nestjs-messaging';

export interface Report {
  /** The time that it is about. */
  readonly until: string;
}

export const reportDue = message<Report>('report.due');
