import { type TransportFactory, memory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';

/** RabbitMQ where AMQP_URL is set, else the embedded broker. */
export function transport({ AMQP_URL }: NodeJS.ProcessEnv = process.env): TransportFactory {
  return AMQP_URL ? rabbitmq({ url: AMQP_URL, exchange: 'payments' }) : memory();
}
