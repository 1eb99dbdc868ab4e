import { viewOf } from '../message/isolate.js';
import type { Delivery } from './delivery.js';

/** What application code sees of a delivery that it is told about: nothing it does to it reaches the broker. */
export type DeliveryView = Pick<Delivery, 'message' | 'queue' | 'direct' | 'topic' | 'deliveryCount' | 'raw'>;

const views = new WeakMap<Delivery, DeliveryView>();

/** The same object for the same delivery. */
export function deliveryView(delivery: Delivery): DeliveryView {
  let view = views.get(delivery);
  if (!view) views.set(delivery, (view = makeView(delivery)));
  return view;
}

function makeView(delivery: Delivery): DeliveryView {
  const { queue, direct, topic, deliveryCount } = delivery;
  return {
    message: viewOf(delivery.message),
    queue,
    direct,
    ...(topic !== undefined && { topic }),
    ...(deliveryCount !== undefined && { deliveryCount }),
    get raw() {
      return delivery.raw;
    },
  };
}
