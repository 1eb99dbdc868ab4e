import { NestFactory } from '@nestjs/core';
import { guide } from './guide.js';
import { AppModule } from './app.module.js';

const app = await NestFactory.create(AppModule);
app.enableShutdownHooks(undefined, { useProcessExit: true });
try {
  await app.listen(process.env.PORT || 3000);
  console.log(guide(await app.getUrl()));
} catch (error) {
  console.error(`It cannot listen: ${(error as Error).message}. Is PORT right, and free?`);
  process.exitCode = 1;
  await app.close();
}
