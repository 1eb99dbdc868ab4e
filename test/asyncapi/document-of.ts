import { Module, type Provider } from '@nestjs/common';
import { memory, MessagingModule } from 'nestjs-messaging';
import { type AsyncApiOptions, asyncApi, unconnectedApplication } from 'nestjs-messaging/asyncapi';
import type { Serializer } from '../../lib/message/serializer.js';
import type { TransportFactory } from '../../lib/transport/transport.js';

/** The document of an application with these providers. */
export async function documentOf(
  providers: Provider[],
  options: AsyncApiOptions = {},
  transport: TransportFactory = memory(),
  serializer?: Serializer,
): Promise<any> {
  const imports = [MessagingModule.forRoot({ service: 'shop', transport, ...(serializer && { serializer }) })];
  @Module({ imports, providers })
  class AppModule {}
  const app = await unconnectedApplication(AppModule);
  try {
    return asyncApi(app, options);
  } finally {
    await app.close();
  }
}
