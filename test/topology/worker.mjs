// One process that migrates a queue, and is killed within a step: at its n-th write to a socket, or at the latest at its end.
import 'reflect-metadata';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Module } from '@nestjs/common';
import { MessagingModule, Subscribe } from 'nestjs-messaging';
import { migrateQueue, unconnectedApplication } from 'nestjs-messaging/topology';

const { system, options, request, queue, kill } = JSON.parse(process.argv[2]);
const { [system]: transport } = await import(`nestjs-messaging/${system}`);
const die = () => process.kill(process.pid, 'SIGKILL');
const write = Socket.prototype.write;
let isWithin = false;
let left = kill?.writes;
Socket.prototype.write = function (...args) {
  if (!isWithin || this.remotePort === undefined) return write.apply(this, args);
  // Half of the deaths come before what is written, the others after it.
  if (left === 1 && kill.writes % 2 === 0) die();
  const result = write.apply(this, args);
  if (--left === 0) die();
  return result;
};

const onStep = (what) => {
  if (isWithin) die();
  writeSync(1, `${what}\n`);
  isWithin = kill !== undefined && new RegExp(kill.step).test(what);
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

await migrateQueue(await unconnectedApplication(AppModule), { queue, onStep });
if (isWithin) die();
