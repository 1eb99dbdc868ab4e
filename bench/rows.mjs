/*
 * What is measured, one row each. `sides` are the two clients that take turns: the first is the yardstick.
 */

const PUBLISH = ['raw-publish', 'messaging-publish'];
const CONSUME = ['raw-consume', 'messaging-consume'];

export const queueTypes = ['classic', 'quorum'];

export const rows = [
  ...queueTypes.flatMap((queueType) => [
    ...[1, 100, 1_000].map((inFlight) => ({
      name: `publish, ${inFlight.toLocaleString('en')} in flight, ${queueType}`,
      kind: 'publish',
      sides: PUBLISH,
      queueType,
      inFlight,
    })),
    ...[1, 100].map((prefetch) => ({
      name: `consume, prefetch ${prefetch}, ${queueType}`,
      kind: 'consume',
      sides: CONSUME,
      queueType,
      prefetch,
    })),
    {
      name: `consume, 1,000/s, prefetch 100, ${queueType}`,
      kind: 'paced',
      sides: CONSUME,
      queueType,
      prefetch: 100,
      perSecond: 1_000,
    },
  ]),
  ...[1, 100].map((inFlight) => ({
    name: `publish and handle, ${inFlight} in flight, embedded broker`,
    kind: 'embedded',
    sides: ['embedded'],
    inFlight,
  })),
];
