import { MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { openTelemetry, type OpenTelemetryOptions } from 'nestjs-messaging/opentelemetry';
import { type Application, boot } from '../../e2e/support/application.js';

/** An application with telemetry; `options` of the module go before those it has here. */
export function bootShop(
  transport: TransportFactory,
  { tracer, meter }: OpenTelemetryOptions,
  options: object = {},
): Promise<Application> {
  return boot({
    imports: [
      MessagingModule.forRoot({
        service: 'shop',
        transport,
        retry: { attempts: 2, backoff: 20 },
        telemetry: openTelemetry({ tracer, meter }),
        ...options,
      }),
    ],
  });
}
