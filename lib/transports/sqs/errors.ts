import { BrokerConfigurationError } from '../../errors/configuration-errors.js';

/** An error of the SDK, as far as it is looked at. */
interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The service's name for what happened. A server that speaks of the older protocol puts a prefix before it. */
export function nameOf(error: unknown): string {
  const { name, code } = error as SdkError;
  return String(name ?? code ?? 'Error').replace(/^AWS\.SimpleQueueService\.|^com\.amazonaws\.\w+#/, '');
}

function statusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode;
}

/** The service has answered, whatever it said. */
export function isAnswer(error: unknown): boolean {
  return statusOf(error) !== undefined;
}

export function describe(error: unknown): string {
  const { message } = error as SdkError;
  const name = nameOf(error);
  const text = message === undefined || message === '' ? String((error as SdkError).code ?? '') : message;
  return name === 'Error' || text.includes(name) ? text || name : `${name}${text && `: ${text}`}`;
}

/** The queue, or the topic, is not there. */
export function isGone(error: unknown): boolean {
  return /^(QueueDoesNotExist|NonExistentQueue|NotFound(Exception)?)$/.test(nameOf(error));
}

const CREDENTIALS =
  /^(ExpiredToken|TokenRefreshRequired|InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|InvalidAccessKeyId|CredentialsProviderError|InvalidSecurity|OptInRequired)/;

/** Why waiting cannot help to reach the service. */
export function misconfiguration(error: unknown, host: string): BrokerConfigurationError | undefined {
  const name = nameOf(error);
  if (CREDENTIALS.test(name))
    return new BrokerConfigurationError(
      `SQS at ${host} does not take the credentials (${name}): look at \`sqs.options.credentials\`, or at what the SDK finds in its environment`,
    );
  if (/region is missing/i.test((error as SdkError).message ?? ''))
    return new BrokerConfigurationError('SQS needs a region: set `sqs.region`, or AWS_REGION');
  return undefined;
}

/** The identity may not do this: it is known by the service. */
export function isDenied(error: unknown): boolean {
  return /^(AccessDenied|AuthorizationError)/.test(nameOf(error));
}

/** Of a whole request or of one entry: sending the same again cannot help. */
export function isOverWhatWasSent(code: string): boolean {
  return /^(InvalidMessageContents|InvalidParameter(Value)?(Exception)?|ParameterValueInvalid(Exception)?|InvalidAttributeValue|InvalidParameterCombination|MissingParameter|BatchRequestTooLong|UnsupportedOperation)$/.test(
    code.replace(/^AWS\.SimpleQueueService\./, ''),
  );
}
