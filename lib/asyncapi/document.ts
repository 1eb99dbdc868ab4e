import type { Json } from './json.js';

/** An AsyncAPI 3.1 document, as far as it is made here. */
export interface AsyncApiDocument {
  readonly asyncapi: '3.1.0';
  readonly id: string;
  readonly info: Json;
  readonly servers: Readonly<Record<string, Json>>;
  readonly channels: Readonly<Record<string, Json>>;
  readonly operations: Readonly<Record<string, Json>>;
  readonly components: {
    readonly messages: Readonly<Record<string, Json>>;
    readonly schemas: Readonly<Record<string, Json>>;
  };
  /** Handlers and publications whose messages have no schema. */
  readonly 'x-nestjs-messaging-undocumented'?: readonly string[];
}
