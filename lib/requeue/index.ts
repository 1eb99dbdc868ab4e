export { RequeueModule, type RequeueAsyncOptions } from './requeue.module.js';
export { type RequeueTelemetry } from './requeue-telemetry.js';
export { RequeueService } from './requeue.service.js';
export { type RequeueOptions } from './requeue-options.js';
export { type QueueReport, type RequeueHealth, type RequeueStats } from './requeue-report.js';
export { type QueueCounters } from './statistics.js';
export { requeueHeaders, type HeaderTarget, type RequeueRequestOptions } from './requeue-headers.js';
export { requestWithRetry, type RequestRetryOptions } from './request-with-retry.js';
export { RequeueRefusedError, type RefusalCode } from './refusal.js';
