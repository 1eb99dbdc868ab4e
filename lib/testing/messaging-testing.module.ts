import { type DynamicModule, Module, type OnModuleDestroy } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { knownKeys, oneOf, checkBoolean } from '../errors/option-checks.js';
import { MESSAGING_SUBSTITUTE } from '../messaging.substitute.js';
import { MessagingProbe, type MessagingTestingOptions } from './messaging-probe.js';

/** Its hook runs first of all: who waits is told, and the deadlines of the shutdown need somebody who moves the time. */
const NEAREST = -1;

/**
 * Takes the place of every broker of an application under test, whatever its transports: one line among its imports.
 *
 * @example
 * const module = await Test.createTestingModule({ imports: [AppModule, MessagingTestingModule.forRoot()] }).compile();
 * const probe = module.get(MessagingProbe);
 */
@Module({})
export class MessagingTestingModule implements OnModuleDestroy {
  constructor(
    private readonly probe: MessagingProbe,
    modules: ModulesContainer,
  ) {
    for (const module of modules.values()) if (module.metatype === MessagingTestingModule) module.distance = NEAREST;
  }

  /** @throws InvalidOptionError */
  static forRoot(options: MessagingTestingOptions = {}): DynamicModule {
    knownKeys('testing', options, ['shared', 'unroutable']);
    checkBoolean('testing.shared', options.shared ?? false);
    oneOf('testing.unroutable', options.unroutable ?? 'ignore', ['ignore', 'reject']);
    return {
      module: MessagingTestingModule,
      global: true,
      providers: [
        // One probe per application, also where a test file makes several of one module.
        { provide: MessagingProbe, useFactory: () => new MessagingProbe(options) },
        { provide: MESSAGING_SUBSTITUTE, useExisting: MessagingProbe },
      ],
      exports: [MessagingProbe, MESSAGING_SUBSTITUTE],
    };
  }

  onModuleDestroy(): void {
    this.probe.close();
  }
}
