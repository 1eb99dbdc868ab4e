// Applications that have no broker, or cannot be made.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { memory, MessagingModule } from 'nestjs-messaging';

export class Empty {}
Module({})(Empty);

export class Embedded {}
Module({ imports: [MessagingModule.forRoot({ service: 'shop', transport: memory() })] })(Embedded);

export class Failing {}
const useFactory = () => {
  throw new Error('The address of the broker is not set: amqp://me:hunter2@broker');
};
Module({ providers: [{ provide: 'address', useFactory }] })(Failing);
