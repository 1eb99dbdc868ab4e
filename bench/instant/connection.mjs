import { InstantChannel } from './channel.mjs';
import { answers, method } from './methods.mjs';
import {
  FRAME_HEADER,
  frame,
  frameType,
  long,
  longString,
  methodFrame,
  octet,
  readArguments,
  short,
  shortString,
  table,
} from './wire.mjs';

const PROTOCOL_HEADER = 8;
const FRAME_MAX = 131_072;
const CHANNEL_MAX = 2_047;
const HEARTBEAT_SECONDS = 60;
const HEARTBEAT = frame(frameType.heartbeat, 0, Buffer.alloc(0));
const NONE = Buffer.alloc(0);

/** Some clients only speak the newer parts of the protocol to whom says that it knows them. */
const PROPERTIES = {
  product: 'instant broker',
  version: '1',
  capabilities: { publisher_confirms: true, 'basic.nack': true, consumer_cancel_notify: true, per_consumer_qos: true },
};

/** One client: takes the frames apart and answers everything that came in one chunk at once. */
export class InstantConnection {
  #socket;
  #offers;
  #channels = new Map();
  #rest = NONE;
  #greeted = false;
  #consumers = 0;
  #write = (bytes) => this.#socket.write(bytes);

  constructor(socket, offers) {
    this.#socket = socket;
    this.#offers = offers;
    const heartbeat = setInterval(() => socket.write(HEARTBEAT), 5_000);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('close', () => clearInterval(heartbeat));
    socket.on('error', () => socket.destroy());
  }

  #read(chunk) {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#socket.cork();
    let at = this.#greeted ? 0 : this.#greet(bytes);
    while (at + FRAME_HEADER < bytes.length) {
      const end = at + FRAME_HEADER + bytes.readUInt32BE(at + 3) + 1;
      if (end > bytes.length) break;
      this.#frame(bytes, at, end);
      at = end;
    }
    this.#rest = bytes.subarray(at);
    for (const channel of this.#channels.values()) channel.respond(this.#write);
    this.#socket.uncork();
  }

  #greet(bytes) {
    if (bytes.length < PROTOCOL_HEADER) return 0;
    this.#greeted = true;
    const fields = [octet(0), octet(9), table(PROPERTIES), longString('PLAIN AMQPLAIN'), longString('en_US')];
    this.#write(methodFrame(0, method.connectionStart, ...fields));
    return PROTOCOL_HEADER;
  }

  #frame(bytes, at, end) {
    const number = bytes.readUInt16BE(at + 1);
    const payloadAt = at + FRAME_HEADER;
    switch (bytes[at]) {
      case frameType.method:
        return this.#method(number, bytes.readUInt32BE(payloadAt), bytes.subarray(payloadAt + 4, end - 1));
      case frameType.header:
        // After class, weight and the high half of the size.
        return this.#channels.get(number)?.header(bytes.readUInt32BE(payloadAt + 8));
      case frameType.body:
        return this.#channels.get(number)?.body(end - 1 - payloadAt);
    }
  }

  #method(number, id, fields) {
    if (id === method.publish) return;
    const channel = this.#channels.get(number);
    switch (id) {
      case method.ack:
      case method.nack:
        // High half of the tag, low half, bits.
        return channel?.settle(fields.readUInt32BE(4), (fields[8] & 1) === 1);
      case method.reject:
        return channel?.settle(fields.readUInt32BE(4), false);
    }
    if (number === 0) this.#ofConnection(id);
    else this.#ofChannel(number, id, fields);
  }

  #ofConnection(id) {
    switch (id) {
      case method.connectionStartOk:
        return this.#write(
          methodFrame(0, method.connectionTune, short(CHANNEL_MAX), long(FRAME_MAX), short(HEARTBEAT_SECONDS)),
        );
      case method.connectionOpen:
        return this.#write(methodFrame(0, method.connectionOpenOk, shortString('')));
      case method.connectionClose:
        this.#channels.clear();
        this.#write(methodFrame(0, method.connectionCloseOk));
        return this.#socket.end();
      case method.connectionTuneOk:
      case method.connectionCloseOk:
        return;
      default:
        this.#refuse(id);
    }
  }

  #ofChannel(number, id, fields) {
    const answer = answers.get(id);
    if (!answer) {
      if (id !== method.channelCloseOk) this.#refuse(id);
      return;
    }
    const values = readArguments(fields, answer.takes);
    if (id === method.consume) values[2] ||= `instant.ctag-${number}-${++this.#consumers}`;
    const noWait = answer.noWait !== undefined && (values.at(-1) >> answer.noWait) & 1;
    if (!noWait) this.#write(methodFrame(number, answer.ok, ...answer.gives(values)));
    this.#act(number, id, values);
  }

  #act(number, id, values) {
    const channel = this.#channels.get(number);
    switch (id) {
      case method.channelOpen:
        return this.#channels.set(number, new InstantChannel(number, this.#offers));
      case method.channelClose:
        return this.#channels.delete(number);
      case method.confirmSelect:
        return channel.confirmSelect();
      case method.qos:
        return channel.qos(values[1]);
      case method.consume:
        if (values[3] & 2 && this.#offers.has(values[1])) return this.#refuse(id);
        return channel.consume(values[1], values[2]);
      case method.cancel:
        return channel.cancel(values[0]);
    }
  }

  /** Not implemented, as the protocol says it: also a consumer without acks, which nothing would hold back. */
  #refuse(id) {
    const [classId, methodId] = [id >>> 16, id & 0xffff];
    const text = `NOT_IMPLEMENTED by the instant broker: method ${classId}.${methodId}`;
    this.#write(methodFrame(0, method.connectionClose, short(540), shortString(text), short(classId), short(methodId)));
  }
}
