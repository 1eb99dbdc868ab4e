// amqplib is not installed here: RabbitMQ cannot be used, and the error says how to change that.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagingModule, MissingPeerError } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

@Module({ imports: [MessagingModule.forRoot({ service: 'packed', transport: rabbitmq() })] })
class AppModule {}

async function main(): Promise<void> {
  try {
    const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    await app.init();
    console.log(JSON.stringify({ error: 'none' }));
  } catch (error) {
    const { name, message } = error as Error;
    console.log(JSON.stringify({ isMissingPeer: error instanceof MissingPeerError, name, message }));
  }
}

void main();
