export { type AnswerOf, type RequestContract, request } from '../message/request-contract.js';
export { Requester } from './requester.js';
export { InjectRequester, getRequesterToken } from './requester.tokens.js';
export { type RepliesOptions, type RequestOptions } from './request-options.js';
export { type AnswerOptions } from './answer-options.js';
export { Respond, type RespondDecorator, type RespondOptions } from './respond.decorator.js';
export {
  NoAnswerError,
  RemoteError,
  ReplyError,
  type ReplyErrorOptions,
  ReplyLostError,
  RequestOverdueError,
  RequestTimeoutError,
  TooManyRequestsError,
  UnavailableError,
} from '../errors/request-errors.js';
