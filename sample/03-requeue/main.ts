import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { guide } from './guide.js';

let close = async (): Promise<void> => undefined;
try {
  const app = await NestFactory.create(AppModule, { abortOnError: false });
  close = () => app.close();
  app.enableShutdownHooks();
  await app.listen(process.env.PORT || 3000);
  console.log(guide(await app.getUrl()));
} catch (error) {
  console.error(`It cannot start: ${(error as Error).message}. Does a NATS server run at NATS_URL? Is PORT free?`);
  process.exitCode = 1;
  await close();
}
