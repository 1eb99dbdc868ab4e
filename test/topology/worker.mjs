// One process (or thread) that migrates a queue, and is gone at the n-th time that it writes to a socket.
import 'reflect-metadata';
import { Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { Module } from '@nestjs/common';
import { MessagingModule, Subscribe } from 'nestjs-messaging';
import { migrateQueue, unconnectedApplication } from 'nestjs-messaging/topology';

const { system, options, request, queue, writes } = workerData;
const { [system]: transport } = await import(`nestjs-messaging/${system}`);
let left = writes;
const write = Socket.prototype.write;
Socket.prototype.write = function (...args) {
  // Half of the deaths come before what is written, the others after it.
  if (left === 1 && writes % 2 === 0) process.exit(9);
  const result = write.apply(this, args);
  if (--left === 0) process.exit(9);
  return result;
};

class Handlers {
  handle() {}
}
Subscribe(request)(Handlers.prototype, 'handle', Object.getOwnPropertyDescriptor(Handlers.prototype, 'handle'));
class AppModule {}
Module({
  imports: [MessagingModule.forRoot({ service: 'shop', transport: transport(options) })],
  providers: [Handlers],
})(AppModule);

const app = await unconnectedApplication(AppModule);
const done = await migrateQueue(app, { queue });
parentPort.postMessage({ ...done, writes: writes - left });
