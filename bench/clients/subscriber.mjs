import { Injectable } from '@nestjs/common';

/** A provider with one decorated method, as TypeScript would compile it. */
export function subscriber(decorators, intake, handler) {
  return decorated(decorators, handler === 'async' ? asyncSubscriber(intake) : plainSubscriber(intake));
}

/** The same with a method that takes batches; an async one awaits once per batch. */
export function batchSubscriber(decorators, intake, handler) {
  return decorated(decorators, handler === 'async' ? asyncBatchSubscriber(intake) : plainBatchSubscriber(intake));
}

function decorated(decorators, Subscriber) {
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

function plainBatchSubscriber(intake) {
  return class Subscriber {
    onEvent(bodies) {
      for (const body of bodies) intake.handle(body);
    }
  };
}

function asyncBatchSubscriber(intake) {
  return class Subscriber {
    async onEvent(bodies) {
      const [first, ...others] = bodies;
      for (const body of others) intake.handle(body);
      await intake.handleLater(first);
    }
  };
}
