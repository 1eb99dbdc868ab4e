/** Kafkajs is the one that the package is measured with. */
export function optionsOf({ url }) {
  const client = { brokers: [url], logLevel: 0 };
  return { client, consumer: { groupId: 'nest' }, subscribe: { fromBeginning: true }, producer: { idempotent: true } };
}
