import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { isPacked, type Order, type Price } from './shop.js';

interface Step {
  readonly AppModule: Type;
  readonly Shop: Type<{ order(order: Order): Promise<void>; price(item: string): Promise<Price> }>;
}

/** One order and one question, in the application as it is after STEP. */
async function main(step = Number(process.env.STEP ?? 3)): Promise<void> {
  if (process.env.AMQP_URL === undefined) {
    console.log('This sample needs RabbitMQ: AMQP_URL=amqp://localhost STEP=3 npm start -- 10-from-golevelup');
    console.log('Its steps are step-1.ts to step-5.ts; the first two need golevelup’s package and Nest 11 as well.');
    return;
  }
  const { AppModule, Shop } = (await import(`./step-${step}.js`)) as Step;
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error'] });
  const shop = app.get(Shop);
  const packed = isPacked(step);
  await shop.order({ id: step, item: 'ball' });
  await packed;
  console.log(`a racket costs ${(await shop.price('racket')).price}`);
  await app.close();
}

void main();
