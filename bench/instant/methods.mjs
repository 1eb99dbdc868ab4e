import { long, octet, shortString } from './wire.mjs';

const id = (classId, methodId) => classId * 0x10000 + methodId;

/** The methods that the connection or the channel acts on, or sends by itself. */
export const method = {
  connectionStart: id(10, 10),
  connectionStartOk: id(10, 11),
  connectionTune: id(10, 30),
  connectionTuneOk: id(10, 31),
  connectionOpen: id(10, 40),
  connectionOpenOk: id(10, 41),
  connectionClose: id(10, 50),
  connectionCloseOk: id(10, 51),
  channelOpen: id(20, 10),
  channelClose: id(20, 40),
  channelCloseOk: id(20, 41),
  qos: id(60, 10),
  consume: id(60, 20),
  cancel: id(60, 30),
  publish: id(60, 40),
  deliver: id(60, 60),
  ack: id(60, 80),
  reject: id(60, 90),
  nack: id(60, 120),
  confirmSelect: id(85, 10),
};

const nothing = () => [];
const noMessages = () => [long(0)];

/**
 * What is answered with OK whatever it says: `takes` are the types of its arguments up to the bits, `noWait` the bit in
 * them that forbids an answer, `gives` the fields of the answer.
 */
export const answers = new Map([
  [method.channelOpen, { takes: '', ok: id(20, 11), gives: noMessages }],
  [id(20, 20), { takes: 'b', ok: id(20, 21), gives: ([active]) => [octet(active)] }],
  [method.channelClose, { takes: '', ok: method.channelCloseOk, gives: nothing }],
  [id(40, 10), { takes: 'tssb', noWait: 4, ok: id(40, 11), gives: nothing }],
  [id(40, 20), { takes: 'tsb', noWait: 1, ok: id(40, 21), gives: nothing }],
  [id(40, 30), { takes: 'tsssb', noWait: 0, ok: id(40, 31), gives: nothing }],
  [id(40, 40), { takes: 'tsssb', noWait: 0, ok: id(40, 51), gives: nothing }],
  [id(50, 10), { takes: 'tsb', noWait: 4, ok: id(50, 11), gives: queueAndCounts }],
  [id(50, 20), { takes: 'tsssb', noWait: 0, ok: id(50, 21), gives: nothing }],
  [id(50, 30), { takes: 'tsb', noWait: 0, ok: id(50, 31), gives: noMessages }],
  [id(50, 40), { takes: 'tsb', noWait: 2, ok: id(50, 41), gives: noMessages }],
  [id(50, 50), { takes: 'tsss', ok: id(50, 51), gives: nothing }],
  [method.qos, { takes: '42b', ok: id(60, 11), gives: nothing }],
  [method.consume, { takes: 'tssb', noWait: 3, ok: id(60, 21), gives: ([, , tag]) => [shortString(tag)] }],
  [method.cancel, { takes: 'sb', noWait: 0, ok: id(60, 31), gives: ([tag]) => [shortString(tag)] }],
  // basic.get: the queue is empty.
  [id(60, 70), { takes: 'tsb', ok: id(60, 72), gives: () => [shortString('')] }],
  [id(60, 110), { takes: 'b', ok: id(60, 111), gives: nothing }],
  [method.confirmSelect, { takes: 'b', noWait: 0, ok: id(85, 11), gives: nothing }],
  [id(90, 10), { takes: '', ok: id(90, 11), gives: nothing }],
  [id(90, 20), { takes: '', ok: id(90, 21), gives: nothing }],
  [id(90, 30), { takes: '', ok: id(90, 31), gives: nothing }],
]);

let named = 0;

function queueAndCounts([, queue]) {
  return [shortString(queue || `instant.gen-${++named}`), long(0), long(0)];
}
