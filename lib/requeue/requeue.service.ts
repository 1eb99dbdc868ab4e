import type { RequeueHealth, RequeueStats } from './requeue-report.js';
import type { RequeueServer } from './requeue-server.js';

/** The requeue service of an application, to be injected. */
export class RequeueService {
  constructor(private readonly server: RequeueServer) {}

  /** What the process knows, without asking the server. */
  health(): RequeueHealth {
    return this.server.health();
  }

  /** Counts of each queue: since the start, and what it holds now. */
  stats(): RequeueStats {
    return this.server.stats();
  }

  /** A request on it is answered with `stats()`. */
  get statsSubject(): string {
    return this.server.statsSubject;
  }

  /** Resolves when the service has ended, after the application's shutdown. */
  get closed(): Promise<void> {
    return this.server.closed;
  }
}
