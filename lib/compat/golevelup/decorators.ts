import 'reflect-metadata';
import { type ExecutionContext, Inject, type PipeTransform, SetMetadata, type Type } from '@nestjs/common';
import type { MessageHandlerOptions, RabbitHandlerConfig, RabbitHandlerType } from './interfaces.js';

/** Its description is that of golevelup's own, by which handlers are found, whosever decorator they have. */
export const RABBIT_HANDLER = Symbol('RABBIT_HANDLER');
export const RABBIT_CONFIG_TOKEN = Symbol('nestjs-messaging:golevelup-config');
export const RABBIT_PARAM_TYPE = 3;
export const RABBIT_HEADER_TYPE = 4;
export const RABBIT_REQUEST_TYPE = 5;
/** What `context.getType()` says in guards, interceptors, pipes and filters. */
export const RABBIT_CONTEXT_TYPE_KEY = 'rmq';

/** Under this key Nest finds what a handler's parameters are. */
export const HANDLER_ARGUMENTS = '__routeArguments__';

type Pipes = (Type<PipeTransform> | PipeTransform)[];

export function RabbitHandler(config: RabbitHandlerConfig): MethodDecorator {
  return SetMetadata(RABBIT_HANDLER as unknown as string, config);
}

/** Handles messages with this method: `(payload, message, headers) => …`. */
export function RabbitSubscribe(config: MessageHandlerOptions): MethodDecorator {
  return ofType('subscribe', config);
}

/** Answers messages with what this method returns. */
export function RabbitRPC(config: MessageHandlerOptions): MethodDecorator {
  return ofType('rpc', config);
}

function ofType(type: RabbitHandlerType, config: MessageHandlerOptions): MethodDecorator {
  return RabbitHandler({ ...config, type });
}

/** The payload, or a property of it; pipes see what is taken. */
export function RabbitPayload(propertyOrPipe?: string | Pipes[number], ...pipes: Pipes): ParameterDecorator {
  return parameter(RABBIT_PARAM_TYPE, propertyOrPipe, pipes);
}

/** The headers, or one of them. */
export function RabbitHeader(propertyOrPipe?: string | Pipes[number], ...pipes: Pipes): ParameterDecorator {
  return parameter(RABBIT_HEADER_TYPE, propertyOrPipe, pipes);
}

/** The message as amqplib has it, or a property of it. */
export function RabbitRequest(propertyOrPipe?: string | Pipes[number], ...pipes: Pipes): ParameterDecorator {
  return parameter(RABBIT_REQUEST_TYPE, propertyOrPipe, pipes);
}

function parameter(type: number, given: string | Pipes[number] | undefined, more: Pipes): ParameterDecorator {
  return (target, key, index) => {
    if (key === undefined) throw new TypeError('A parameter of a handler is decorated, and not one of a constructor');
    const data = typeof given === 'string' ? given : undefined;
    const pipes = given === undefined || data !== undefined ? more : [given, ...more];
    const others = (Reflect.getMetadata(HANDLER_ARGUMENTS, target.constructor, key) ?? {}) as object;
    const all = { ...others, [`${type}:${index}`]: { index, data, pipes } };
    Reflect.defineMetadata(HANDLER_ARGUMENTS, all, target.constructor, key);
  };
}

export const InjectRabbitMQConfig = (): PropertyDecorator & ParameterDecorator => Inject(RABBIT_CONFIG_TOKEN);

/** Whether a guard, interceptor, pipe or filter is called for a message. */
export function isRabbitContext(context: ExecutionContext): boolean {
  return rabbitHandlerOf(context.getHandler()) !== undefined;
}

/** What a decorator of any copy of either package says of a method. */
export function rabbitHandlerOf(method: object): RabbitHandlerConfig | undefined {
  const key = (Reflect.getMetadataKeys(method) as unknown[]).find(
    (one): one is symbol => typeof one === 'symbol' && one.description === RABBIT_HANDLER.description,
  );
  return key && (Reflect.getMetadata(key, method) as RabbitHandlerConfig);
}

/** Payload, message and headers are arguments 0, 1 and 2 of a handler. */
export const PARAMETERS = {
  exchangeKeyForValue(type: number, data: unknown, args: unknown[]): unknown {
    const at = { [RABBIT_PARAM_TYPE]: 0, [RABBIT_REQUEST_TYPE]: 1, [RABBIT_HEADER_TYPE]: 2 }[type];
    const argument = at === undefined ? undefined : args[at];
    return typeof data === 'string' && data !== '' ? (argument as Record<string, unknown> | null)?.[data] : argument;
  },
};
