export { AsyncApiModule, type AsyncApiModuleAsyncOptions, type AsyncApiModuleOptions } from './asyncapi.module.js';
export { asyncApi } from './asyncapi.js';
export { type AsyncApiDocument } from './document.js';
export { type AsyncApiInfo, type AsyncApiOptions, type AsyncApiSelection, type AsyncApiServer } from './options.js';
export { type DescribedPublication, type Publication, Publishes } from './publishes.decorator.js';
export { unconnectedApplication } from './unconnected.js';
