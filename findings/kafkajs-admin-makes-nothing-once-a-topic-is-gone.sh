#!/usr/bin/env bash
# Apache Kafka 4.4.0, kafkajs 2.2.4.
# An admin client is asked where the ends of a topic are. Somebody deletes the topic. The admin client is told to make another
# one. Guess: it is made; the deleted topic has nothing to do with it.
# The client asks for the leaders of every topic that it was ever asked about, and fails where one of them is unknown: it makes
# no topic any more, neither the deleted one nor another, until it is thrown away. A new client makes both.
source "$(dirname "$0")/support.sh"
packages kafkajs@2.2.4

kafka 4.4.0
seen=$(run <<'JS'
import kafkajs from 'kafkajs';
const { Kafka, logLevel } = kafkajs;
const client = new Kafka({ brokers: [process.env.URL], logLevel: logLevel.NOTHING, retry: { retries: 3, initialRetryTime: 50 } });
const [admin, other] = [client.admin(), client.admin()];
await Promise.all([admin.connect(), other.connect()]);
const make = (by, topic) =>
  by.createTopics({ topics: [{ topic }], waitForLeaders: true }).then(() => 'made', ({ type, cause }) => type ?? cause?.type);
await make(admin, 'old');
await new Promise((resolve) => setTimeout(resolve, 500));
await admin.fetchTopicOffsets('old');
await other.deleteTopics({ topics: ['old'] });
const said = [await make(admin, 'old'), await make(admin, 'another'), await make(other, 'old'), await make(other, 'another')];
console.log(`who had looked: ${said[0]}, ${said[1]}; who had not: ${said[2]}, ${said[3]}`);
await Promise.all([admin.disconnect(), other.disconnect()]);
JS
)
verdict 'making topics after one was deleted' "$seen" 'who had looked: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_OR_PARTITION; who had not: made, made'
