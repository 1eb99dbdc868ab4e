import { Kafka, logLevel } from 'kafkajs';
import { groupsOf, recordOf } from './clients/kafka-message.mjs';

const TOGETHER = 1_000;

/** The orchestrator's own way to Kafka: it fills the topic and moves groups on, and is not measured. */
export class KafkaLoad {
  constructor(admin, producer) {
    this.admin = admin;
    this.producer = producer;
  }

  static async connect(url) {
    const kafka = new Kafka({ brokers: [url], logLevel: logLevel.NOTHING });
    const load = new KafkaLoad(kafka.admin(), kafka.producer());
    await Promise.all([load.admin.connect(), load.producer.connect()]);
    return load;
  }

  async cutOff({ exchange: topic }) {
    const partitions = await this.ends(topic);
    await this.admin.deleteTopicRecords({ topic, partitions });
  }

  /** Nobody who reads the topic is given what is in it. */
  async passOver(place) {
    const { exchange: topic } = place;
    const partitions = await this.ends(topic);
    for (const groupId of groupsOf(place)) await this.admin.setOffsets({ groupId, topic, partitions });
  }

  async fill(place, count) {
    for (let sent = 0; sent < count; sent += TOGETHER) {
      const now = Math.min(TOGETHER, count - sent);
      const messages = Array.from({ length: now }, (_, at) => recordOf(place, sent + at));
      await this.producer.send({ topic: place.exchange, acks: -1, messages });
    }
  }

  async close() {
    await Promise.all([this.admin.disconnect(), this.producer.disconnect()]);
  }

  async ends(topic) {
    const places = await this.admin.fetchTopicOffsets(topic);
    return places.map(({ partition, high }) => ({ partition, offset: high }));
  }
}
