import type { HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';

type Session<Key extends string> = ReturnType<typeof HealthIndicatorService.prototype.check<Key>>;

/** A report as Terminus tells it; degraded is `up` to Terminus 11, which has no word for it. */
export function told<Key extends string>(
  indicator: Session<Key>,
  report: { readonly status: 'up' | 'degraded' | 'down' },
  purpose: 'readiness' | 'liveness' | undefined,
): HealthIndicatorResult<Key> {
  // Terminus writes its own `status` beside the details, so ours goes by another name.
  const { status, ...parts } = report;
  const details = { state: status, ...parts };
  if (purpose === 'liveness') return indicator.up(details);
  if (status === 'down') return indicator.down(details);
  if (status === 'degraded' && hasDegraded(indicator)) return indicator.degraded(details);
  return indicator.up(details);
}

interface Degradable {
  degraded(details: object): unknown;
}

function hasDegraded(indicator: object): indicator is Degradable {
  return 'degraded' in indicator && typeof indicator.degraded === 'function';
}
