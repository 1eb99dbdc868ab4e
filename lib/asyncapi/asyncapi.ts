import type { INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { UnsupportedError } from '../errors/configuration-errors.js';
import { MessagingExplorer } from '../messaging.explorer.js';
import { DocumentBuilder } from './document-builder.js';
import type { AsyncApiDocument } from './document.js';
import { type AsyncApiOptions, checkOptions } from './options.js';

/** An application, or the `ModuleRef` of one. */
type Application = Pick<INestApplicationContext, 'get'>;

/**
 * What an application sends and receives, as an AsyncAPI 3.1 document: made of its decorators, contracts and options, without
 * asking any broker, in an order that depends on names alone. The application may run, or be of `unconnectedApplication`.
 * @throws InvalidOptionError for options, and schemas that cannot be said; SubscriptionConflictError; UnsupportedError without a MessagingModule
 */
export function asyncApi(app: Application, options: AsyncApiOptions = {}): AsyncApiDocument {
  return new DocumentBuilder(explorerOf(app), checkOptions(options)).build();
}

/** @throws UnsupportedError without a MessagingModule */
export function explorerOf(app: Application): MessagingExplorer {
  // What an application does not have it would not only refuse: Nest ends the process then.
  for (const module of app.get(ModulesContainer, { strict: false }).values())
    for (const { instance } of module.providers.values()) if (instance instanceof MessagingExplorer) return instance;
  throw new UnsupportedError('There is no MessagingModule in this application: nothing is sent or received');
}
