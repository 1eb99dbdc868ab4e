import { ackCases } from './contract/ack.cases.js';
import { browseCases } from './contract/browse.cases.js';
import { type CaseDefinition } from './contract/case.js';
import { consumerCases } from './contract/consumer.cases.js';
import { deadLetterCases } from './contract/dead-letter.cases.js';
import { delayCases } from './contract/delay.cases.js';
import { deliveryCases } from './contract/delivery.cases.js';
import { exclusiveCases } from './contract/exclusive.cases.js';
import { leaseCases } from './contract/lease.cases.js';
import { formerQueueCases } from './contract/former-queue.cases.js';
import { isolationCases } from './contract/isolation.cases.js';
import { lifecycleCases } from './contract/lifecycle.cases.js';
import { missingDelaysCases } from './contract/missing-delays.cases.js';
import { outageCases } from './contract/outage.cases.js';
import { peerCases } from './contract/peer.cases.js';
import { provisioningCases } from './contract/provisioning.cases.js';
import { publishCases } from './contract/publish.cases.js';
import { publishFaultCases } from './contract/publish-faults.cases.js';
import { replyCases } from './contract/reply.cases.js';
import { routingCases } from './contract/routing.cases.js';
import { settlementCases } from './contract/settlement.cases.js';
import { stopCases } from './contract/stop.cases.js';
import { supervisionCases } from './contract/supervision.cases.js';
import { TestBed } from './contract/test-bed.js';
import { topologyCases } from './contract/topology.cases.js';
import { type ContractNeed, type TransportHarness, unmetNeeds } from './transport-harness.js';

/** One promise that every transport keeps. */
export interface ContractCase {
  /** Unique and stable. */
  readonly name: string;
  readonly needs: readonly ContractNeed[];
  /** The `needs` that this transport or its harness does not offer. Empty: the case can run. */
  readonly unmet: readonly ContractNeed[];
  /** Resolves when the promise is kept, rejects (with an `AssertionError` of node:assert) when it is broken. */
  readonly run: () => Promise<void>;
}

const definitions: readonly CaseDefinition[] = [
  ...deliveryCases,
  ...settlementCases,
  ...ackCases,
  ...leaseCases,
  ...consumerCases,
  ...stopCases,
  ...routingCases,
  ...deadLetterCases,
  ...delayCases,
  ...publishCases,
  ...topologyCases,
  ...exclusiveCases,
  ...missingDelaysCases,
  ...formerQueueCases,
  ...browseCases,
  ...lifecycleCases,
  ...outageCases,
  ...supervisionCases,
  ...publishFaultCases,
  ...isolationCases,
  ...peerCases,
  ...replyCases,
  ...provisioningCases,
];

/**
 * What core relies on, as runnable cases for any test runner. Each uses queues and routes of its own; faults hit every
 * transport of the harness, so run the cases one after the other.
 *
 * @example Under jest
 * ```ts
 * import { transportContract } from 'nestjs-messaging/testing';
 *
 * describe('transport contract', () => {
 *   for (const { name, unmet, run } of transportContract(harness)) (unmet.length > 0 ? it.skip : it)(name, run);
 * });
 * ```
 *
 * @example Under node:test
 * ```ts
 * import { test } from 'node:test';
 * import { ManualClock, transportContract, type TransportHarness } from 'nestjs-messaging/testing';
 *
 * const clock = new ManualClock();
 * const harness: TransportHarness = {
 *   name: 'mine',
 *   capabilities: mine({ broker }).create().capabilities,
 *   create: () => mine({ broker }).create(),
 *   environment: () => ({
 *     clock,
 *     service: 'contract',
 *     random: Math.random,
 *     reconnect: { initial: 20, max: 200, jitter: 0.2 },
 *     confirmTimeout: 5_000,
 *     provision: true,
 *   }),
 *   elapse: (ms) => clock.advance(ms), // leave it out on a real clock
 *   faults: { disconnect: async () => broker.cutConnections() },
 * };
 *
 * for (const { name, unmet, run } of transportContract(harness)) test(name, { skip: unmet.join() || false }, run);
 * ```
 */
export function transportContract(harness: TransportHarness): ContractCase[] {
  return definitions.map(({ name, needs = [], run }) => ({
    name,
    needs,
    unmet: unmetNeeds(harness, needs),
    run: () => TestBed.use(harness, run),
  }));
}
