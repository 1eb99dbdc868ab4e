import { Injectable } from '@nestjs/common';

/** A provider with one decorated method, as TypeScript would compile it. */
export function subscriber(decorate, intake) {
  class Subscriber {
    onEvent(body) {
      intake.handle(body);
    }
  }
  Injectable()(Subscriber);
  decorate(Subscriber.prototype, 'onEvent', Object.getOwnPropertyDescriptor(Subscriber.prototype, 'onEvent'));
  return Subscriber;
}
