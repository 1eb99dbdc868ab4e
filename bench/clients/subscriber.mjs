import { Injectable } from '@nestjs/common';

/** A provider with one decorated method, as TypeScript would compile it. */
export function subscriber(decorators, intake, handler) {
  const Subscriber = handler === 'async' ? asyncSubscriber(intake) : plainSubscriber(intake);
  Injectable()(Subscriber);
  const method = Object.getOwnPropertyDescriptor(Subscriber.prototype, 'onEvent');
  for (const decorate of decorators) decorate(Subscriber.prototype, 'onEvent', method);
  return Subscriber;
}

function plainSubscriber(intake) {
  return class Subscriber {
    onEvent(body) {
      intake.handle(body);
    }
  };
}

function asyncSubscriber(intake) {
  return class Subscriber {
    async onEvent(body) {
      await intake.handleLater(body);
    }
  };
}
