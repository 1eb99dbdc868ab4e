import { systemClock } from '../clock/clock.js';
import { RedriveInterruptedError } from '../dead-letter/redrive-interrupted-error.js';
import type { DeadLetterConditions } from '../dead-letter/dead-letter-selection.js';
import type { CanaryOptions, RedriveOptions, RedriveResult } from '../dead-letter/redrive-options.js';
import { printable, printableJson } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { type Command, type Console, EXIT } from './command.js';
import { allowRetry } from './dead-letters-archive-file.js';
import { BROKER_NOTES, refuseBroker } from './broker-flags.js';
import { conditionsOf, decimal, FILTERS, JSON_FLAG, OPTION_NAMES } from './dead-letters-flags.js';
import { PLACE, PLACE_NOTES, withPlace } from './dead-letters-place-flags.js';
import { duration, type FlagValues, given, textOf, UsageError, wholeNumber } from './flags.js';
import { ProgressBar } from './progress-bar.js';
import { onStopSignal } from './stop-signals.js';

const SHOWN_FAILURES = 20;

export const deadLettersRedriveCommand: Command = {
  name: 'dead-letters redrive',
  what: 'Sends dead letters back to the queue they came from, with their id, as a first attempt.',
  flags: [
    ...PLACE,
    ...FILTERS,
    { name: 'dry-run', what: 'sends nothing: counts what is selected' },
    { name: 'limit', value: 'count', what: 'the most that are redriven' },
    { name: 'rate', value: 'count', what: 'the most in a second' },
    { name: 'canary', what: 'sends 1, then 10, and the rest only when none of them came back' },
    {
      name: 'canary-stages',
      value: 'counts',
      default: '1,10',
      what: 'how many are sent in each stage before the rest',
    },
    {
      name: 'canary-window',
      value: 'time',
      default: '10s',
      what: 'how long after each stage it is waited for those that come back',
    },
    {
      name: 'max-failure-rate',
      value: 'part',
      what: 'stops when more than this part of at least 20 failed or came to the dead letters meanwhile: 0.1',
    },
    {
      name: 'allow-retry',
      value: 'yes|no',
      what: 'with --archive: sends nothing itself, but lets the applications send them (yes), or not any more (no)',
    },
    JSON_FLAG,
  ],
  notes: [
    BROKER_NOTES,
    PLACE_NOTES,
    [
      'A dead letter is taken out of its queue only after the broker has confirmed the copy, so that nothing is lost, wherever',
      'this command ends; what was under way then may be sent twice, with the same id. The same command goes on with the rest.',
    ].join('\n'),
    [
      'A canary is sent as the attempt that was its last: failing again it is back at once. That it did not come back does not',
      'say that it was handled: the window may be too short, or nobody consumes the queue.',
    ].join('\n'),
    'SIGINT and SIGTERM end it after the batch under way; a second one ends it at once.',
    [
      'Exit codes: 0 all selected are redriven, 1 failed, or some could not be sent and are kept, 2 wrong usage,',
      '3 an application is using the folder of the retry queue, 4 stopped early: by a signal, --limit, canaries or the failure rate.',
    ].join('\n'),
  ].join('\n\n'),
  optionNames: OPTION_NAMES,
  async run(values, console) {
    const selection = conditionsOf(values);
    const options = optionsOf(values);
    if (values['allow-retry'] !== undefined) return allowedRetry(values, console, selection);
    if (values['data-dir'] !== undefined) refuseSending(values);
    if (values.canary && values['retry-queue'] !== undefined)
      throw new UsageError(
        '--canary does not fit --retry-queue: what a publisher gave up was never handled; try --limit 1 first',
      );
    const controller = new AbortController();
    const bar = new ProgressBar(console.stderr, systemClock, console.env);
    const release = onStopSignal(() => controller.abort());
    try {
      const result = await withPlace(values, console, options.dryRun ? 'read' : 'send', (place) =>
        place.redrive(selection, {
          ...options,
          signal: controller.signal,
          onProgress: (progress) => bar.draw(progress),
        }),
      );
      bar.end();
      console.stdout.write(`${values.json ? json(result) : readable(result, options.dryRun)}\n`);
      if (result.stopped) return EXIT.stopped;
      return result.failed.length > 0 ? EXIT.failed : EXIT.ok;
    } catch (error) {
      bar.end();
      if (values.json && error instanceof RedriveInterruptedError) console.stdout.write(`${json(error.result)}\n`);
      throw error;
    } finally {
      release();
    }
  },
};

/** A flag is set in the archive, which its applications look for. */
async function allowedRetry(values: FlagValues, { stdout }: Console, selection: DeadLetterConditions): Promise<number> {
  const answer = textOf(values, 'allow-retry');
  const archive = textOf(values, 'archive');
  if (answer !== 'yes' && answer !== 'no') throw new UsageError('--allow-retry takes yes or no');
  if (!archive || [values.queue, values['retry-queue'], values['data-dir']].some((place) => place !== undefined))
    throw new UsageError('--allow-retry needs --archive, and no other place: only an archive has such a flag');
  const wrong = SENDING.find((name) => values[name] !== undefined);
  if (wrong !== undefined)
    throw new UsageError(`--${wrong} does not fit --allow-retry: the applications send them. Leave one of them out`);
  const allow = answer === 'yes';
  refuseBroker(values, 'no broker is needed for --allow-retry');
  const changed = await allowRetry(archive, { ...selection, all: true }, allow);
  const told = allow ? 'will be sent by their applications' : 'will not be sent by their applications';
  stdout.write(
    values.json ? `${JSON.stringify({ [allow ? 'allowed' : 'withdrawn']: changed })}\n` : `${changed} ${told}\n`,
  );
  return EXIT.ok;
}

/** How this command sends. */
const SENDING = ['dry-run', 'limit', 'rate', 'canary', 'canary-stages', 'canary-window', 'max-failure-rate'];

/** Nothing is sent by this command where the service does so. @throws UsageError */
function refuseSending(values: FlagValues): void {
  const wrong = SENDING.find((name) => values[name] !== undefined && name !== 'dry-run' && name !== 'limit');
  if (wrong !== undefined)
    throw new UsageError(
      `--${wrong} does not fit --data-dir: they go back into their queues there, and the service sends them`,
    );
}

function optionsOf(values: FlagValues): RedriveOptions {
  return given({
    dryRun: values['dry-run'],
    limit: wholeNumber(values, 'limit'),
    rateLimit: decimal(values, 'rate'),
    canary: canaryOf(values),
    maxFailureRate: decimal(values, 'max-failure-rate'),
  });
}

function canaryOf(values: FlagValues): CanaryOptions | undefined {
  const stages = textOf(values, 'canary-stages');
  const window = duration(values, 'canary-window');
  if (!values.canary) {
    if (stages !== undefined || window !== undefined)
      throw new UsageError('--canary-stages and --canary-window need --canary');
    return undefined;
  }
  if (stages !== undefined && !/^\d{1,6}(,\d{1,6})*$/.test(stages))
    throw new UsageError('--canary-stages takes numbers separated by commas, such as 1,10');
  return {
    ...(stages !== undefined && { stages: stages.split(',').map(Number) }),
    ...(window !== undefined && { window }),
  };
}

function json({ failed, startedAt, ...result }: RedriveResult): string {
  const told = failed.map(({ id, error }) => ({ id, code: error.code, message: errorMessage(error) }));
  return printableJson({ ...result, failed: told, startedAt: new Date(startedAt).toISOString() }, 2);
}

const STOPPED: Readonly<Record<NonNullable<RedriveResult['stopped']>, string>> = {
  aborted: 'Stopped by a signal',
  limit: 'Stopped at the limit',
  canary: 'Stopped, because canaries failed again',
  'failure-rate': 'Stopped, because too many failed',
};

function readable(result: RedriveResult, dryRun = false): string {
  const { done, failed, examined, matched, arrived, startedAt, stopped, canaries } = result;
  if (dryRun) return `${matched} of ${examined} would be redriven`;
  const lines = [`${done} redriven, ${failed.length} failed, ${examined} looked at`];
  if (canaries && canaries.length > 0) {
    const fates = new Map<string, number>();
    for (const { fate } of canaries) fates.set(fate, (fates.get(fate) ?? 0) + 1);
    lines.push(`Canaries: ${[...fates].map(([fate, count]) => `${count} ${FATES[fate]}`).join(', ')}`);
  }
  if (arrived > 0) lines.push(`${arrived} came to the dead letters meanwhile`);
  for (const { id, error } of failed.slice(0, SHOWN_FAILURES))
    lines.push(printable(`  ${id || '(no id)'}: ${error.code}: ${errorMessage(error)}`));
  if (failed.length > SHOWN_FAILURES) lines.push(`  and ${failed.length - SHOWN_FAILURES} more: --json tells all`);
  if (stopped)
    lines.push(
      `${STOPPED[stopped]}. The rest is where it was, and the same command goes on; without those that came back since with --older-than ${new Date(startedAt).toISOString()}`,
    );
  return lines.join('\n');
}

const FATES: Readonly<Record<string, string>> = {
  handled: 'handled',
  failed: 'failed again',
  returned: 'came back',
  quiet: 'did not come back within the window',
  sent: 'not judged',
};
