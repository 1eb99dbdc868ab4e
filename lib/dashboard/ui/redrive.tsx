import { useState } from 'preact/hooks';
import { act, get } from './api.js';
import { ago, count, seen } from './format.js';
import { Letters } from './letters.js';
import { session, snapshot } from './live.js';
import { Action, Heading, isConflict, Problem, State, Text, useAnswer } from './parts.js';
import { route, to } from './router.js';
import type { Plan, Run } from './types.js';

export function RedrivePage() {
  const filter = route.value.search.get('filter');
  const { redrives } = snapshot.value!;
  return (
    <>
      <Heading>Redrive</Heading>
      {filter === null ? (
        <p class="note">
          A redrive begins with a filter: choose a group or a list of <a href={to('dead-letters')}>dead letters</a>.
        </p>
      ) : (
        <PlanOf key={filter} filter={filter} />
      )}
      <h2>Redrives of this process</h2>
      <p class="note">
        They go on while no page is open, and end with the process; the same redrive goes on with the rest.
      </p>
      {redrives.length === 0 && <p>None yet.</p>}
      {redrives.map((run) => (
        <OneRun key={run.id} run={run} />
      ))}
    </>
  );
}

function PlanOf({ filter }: { filter: string }) {
  const version = snapshot.value!.overview.lettersVersion;
  const [turn, setTurn] = useState(0);
  const {
    value: plan,
    error,
    again,
  } = useAnswer(() => get<Plan>(`plan?${new URLSearchParams({ filter })}`), [filter, turn]);
  const [seenVersion, setSeenVersion] = useState(version);
  const [canary, setCanary] = useState(true);
  const [windowSeconds, setWindow] = useState('10');
  const [rate, setRate] = useState('');
  const [said, setSaid] = useState('');
  if (!plan) return <Problem error={error} />;
  const start = async (dryRun: boolean): Promise<void> => {
    const { count: shown, fingerprint } = plan;
    const options = {
      ...(dryRun ? { dryRun } : canary && { canary: { stages: [1, 10], window: Number(windowSeconds) * 1_000 } }),
      ...(!dryRun && rate !== '' && { rateLimit: Number(rate) }),
    };
    setSaid('');
    try {
      await act('POST', 'api/v1/redrives', { filter, expected: { count: shown, fingerprint }, options });
      setSaid(
        dryRun ? 'The dry run has begun; its result is below.' : 'The redrive has begun; how far it is stands below.',
      );
    } catch (thrown) {
      if (isConflict(thrown)) again();
      throw thrown;
    }
  };
  const reload = (): void => {
    setSeenVersion(version);
    setTurn(turn + 1);
  };
  const allowed = session.value!.access.redrive && plan.count > 0;
  return (
    <section class="card" aria-label="Plan">
      <h2>Plan</h2>
      <p>
        <strong>{count(plan.count)}</strong> {plan.count === 1 ? 'dead letter matches' : 'dead letters match'}{' '}
        {filter === '' ? 'no filter' : <Text of={filter} code />}:{' '}
        {plan.queues.map(({ queue, count: letters }, at) => (
          <span key={queue}>
            {at > 0 && ', '}
            <Text of={queue} code /> ({letters})
          </span>
        ))}
      </p>
      {version !== seenVersion && (
        <p class="note">
          Dead letters have come or gone since.{' '}
          <button type="button" class="quiet" onClick={reload}>
            Plan again
          </button>
        </p>
      )}
      <Problem error={error} />
      {plan.count > 0 && (
        <details>
          <summary>The newest {plan.sample.length}</summary>
          <Letters of={plan.sample} />
        </details>
      )}
      {allowed && (
        <>
          <fieldset>
            <legend>How</legend>
            <label class="check">
              <input
                type="checkbox"
                checked={canary}
                onChange={({ currentTarget }) => setCanary(currentTarget.checked)}
              />{' '}
              One first, then ten, then the rest (canary)
            </label>
            {canary && (
              <label>
                Seconds in which none of them may fail again{' '}
                <input
                  type="number"
                  min="1"
                  max="86400"
                  value={windowSeconds}
                  onInput={({ currentTarget }) => setWindow(currentTarget.value)}
                />
              </label>
            )}
            <label>
              At most so many in a second{' '}
              <input
                type="number"
                min="1"
                placeholder="no limit"
                value={rate}
                onInput={({ currentTarget }) => setRate(currentTarget.value)}
              />
            </label>
          </fieldset>
          <div class="buttons">
            <Action run={() => start(true)}>Dry run</Action>
            <Action run={() => start(false)}>Redrive {count(plan.count)}</Action>
          </div>
        </>
      )}
      <p role="status">{said}</p>
    </section>
  );
}

function OneRun({ run }: { run: Run }) {
  const { progress, result, options } = run;
  const runs = run.state === 'running' || run.state === 'stopping';
  const name = `${options.dryRun ? 'Dry run' : 'Redrive'} of ${run.count}`;
  return (
    <article class="card" aria-label={name}>
      <header class="heading">
        <h3>{name}</h3>
        <State of={run.state} />
        {runs && session.value!.access.redrive && (
          <Action label={`Stop ${name}`} run={() => act('DELETE', `api/v1/redrives/${run.id}`)}>
            Stop
          </Action>
        )}
      </header>
      <p class="note">
        {run.filter === '' ? 'Without a filter' : <Text of={run.filter} code />}, by <Text of={run.startedBy} />,{' '}
        {ago(run.startedAt)}: <Text of={run.queues.join(', ')} code />
      </p>
      {runs && (
        <p>
          <progress
            max={run.count}
            value={progress?.done ?? 0}
            aria-label={`${progress?.done ?? 0} of ${run.count} redriven`}
          />{' '}
          {progress?.done ?? 0} of {run.count}
          {progress?.waiting && ', waiting for the verdict on the canaries'}
        </p>
      )}
      {result && (
        <p>
          {options.dryRun ? `${result.matched} would be redriven` : `${result.done} redriven, ${result.failed} failed`}
          {result.stopped !== undefined && (
            <>
              , <strong>stopped: {result.stopped}</strong>
            </>
          )}
          .
        </p>
      )}
      {run.error !== undefined && (
        <p class="problem">
          <Text of={run.error} />
        </p>
      )}
      {result?.canaries && (
        <ul class="plain" aria-label="Canaries">
          {result.canaries.map(({ id, fate }, at) => (
            <li key={at}>
              <State of={fate} /> <Text of={id} code />
            </li>
          ))}
        </ul>
      )}
      {result && result.failures.length > 0 && (
        <ul aria-label="Failures">
          {result.failures.map(({ id, error }, at) => (
            <li key={at}>
              <Text of={id} code />: {seen(error)}
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}
