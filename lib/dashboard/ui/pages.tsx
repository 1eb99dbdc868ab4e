import { act } from './api.js';
import { bytes, count, duration, time } from './format.js';
import { session, snapshot } from './live.js';
import { Action, Heading, Table, Spark, State, Text, Tile } from './parts.js';
import { to } from './router.js';
import type { Snapshot } from './types.js';

const now = (): Snapshot => snapshot.value!;
const may = (permission: 'pause' | 'pauseEverywhere'): boolean => session.value?.access[permission] === true;

export function OverviewPage() {
  const { overview, redrives } = now();
  const { connection, deadLetters, retryQueue, troubles } = overview;
  const running = redrives.filter(({ state }) => state === 'running' || state === 'stopping');
  return (
    <>
      <Heading also={<State of={overview.status} />}>Overview</Heading>
      <dl class="tiles">
        <Tile
          label={`Connection to ${connection.host}`}
          value={connection.state}
          bad={connection.state !== 'connected'}
        />
        <Tile label="Ready in queues" value={count(overview.ready)} />
        <Tile label="In flight" value={count(overview.inFlight)} />
        <Tile label="Handled per second" value={String(overview.handledPerSecond)} />
        <Tile label="Failed per second" value={String(overview.failedPerSecond)} bad={overview.failedPerSecond > 0} />
        <Tile label="Dead letters in queues" value={count(deadLetters.queues)} bad={deadLetters.queues > 0} />
        {deadLetters.archive !== undefined && (
          <Tile label="Dead letters in the archive" value={count(deadLetters.archive)} />
        )}
        <Tile label="Waiting to be published" value={count(retryQueue.depth)} bad={retryQueue.depth > 0} />
      </dl>
      <h2>What needs attention</h2>
      {troubles.length === 0 ? (
        <p>Nothing.</p>
      ) : (
        <ul class="troubles">
          {troubles.map(({ text, page }, at) => (
            <li key={at}>
              {page === '' ? (
                <Text of={text} />
              ) : (
                <a href={to(page)}>
                  <Text of={text} />
                </a>
              )}
            </li>
          ))}
        </ul>
      )}
      {running.length > 0 && (
        <p>
          <a href={to('redrive')}>
            {running.length} {running.length === 1 ? 'redrive is' : 'redrives are'} running
          </a>
        </p>
      )}
      <p class="note">
        This process, service <Text of={overview.service} />, connected since {time(Date.parse(connection.since))}.
        Counts of queues are those of the broker, up to 15 s old.
      </p>
    </>
  );
}

export function SubscriptionsPage() {
  const { subscriptions, overview } = now();
  const everywhere = overview.coordinated && may('pauseEverywhere');
  return (
    <>
      <Heading>Subscriptions</Heading>
      <p class="note">
        {everywhere
          ? 'Pausing stops the handlers of this process, and pausing everywhere those of all processes, for a day. '
          : 'Pausing stops the handlers of this process only. '}
        Rates are counted while a page is open.
      </p>
      {subscriptions.length === 0 && <p>This process has no subscriptions.</p>}
      {subscriptions.map((one) => (
        <section class="card" key={one.queue} aria-label={one.name}>
          <header class="heading">
            <h2>
              <Text of={one.name} />
            </h2>
            <State of={one.state} />
            {may('pause') && !isPausedEverywhere(one) && (
              <Turn name={one.name} what={one.state === 'paused' ? 'resume' : 'pause'} />
            )}
            {everywhere && (
              <Turn name={one.name} what={isPausedEverywhere(one) ? 'resume-everywhere' : 'pause-everywhere'} />
            )}
          </header>
          {one.reason !== undefined && (
            <p class="problem">
              <Text of={one.reason} />
            </p>
          )}
          <dl class="facts">
            {one.handledBy !== undefined && (
              <div>
                <dt>Handler</dt>
                <dd>
                  <Text of={one.handledBy} code />
                </dd>
              </div>
            )}
            <div>
              <dt>Queue</dt>
              <dd>
                <Text of={one.queue} code />
              </dd>
            </div>
            <div>
              <dt>Routes</dt>
              <dd>
                <Text of={one.routes.join(', ')} code />
              </dd>
            </div>
            <div>
              <dt>Ready</dt>
              <dd>{count(one.ready)}</dd>
            </div>
            <div>
              <dt>In flight</dt>
              <dd>
                {one.inFlight}
                {one.prefetch !== undefined && ` of ${one.prefetch}`}
              </dd>
            </div>
            {one.attempts !== undefined && (
              <div>
                <dt>Attempts</dt>
                <dd>
                  {one.attempts}
                  {one.idempotent && ', idempotent'}
                </dd>
              </div>
            )}
            <div>
              <dt>Last five minutes</dt>
              <dd>
                <Rates of={one.rates} />
              </dd>
            </div>
            {one.deadLetterQueue !== undefined && (
              <div>
                <dt>Dead letters</dt>
                <dd>
                  <a href={to('dead-letters', { filter: `queue:"${one.deadLetterQueue}"` })}>
                    <Text of={one.deadLetterQueue} code />
                  </a>
                </dd>
              </div>
            )}
          </dl>
        </section>
      ))}
    </>
  );
}

export const isPausedEverywhere = ({ reason }: { readonly reason?: string }): boolean =>
  reason?.startsWith('paused in all processes') === true;

const TURNS = {
  pause: 'Pause',
  resume: 'Resume',
  'pause-everywhere': 'Pause everywhere',
  'resume-everywhere': 'Resume everywhere',
};

function Turn({ name, what }: { name: string; what: keyof typeof TURNS }) {
  const label = TURNS[what];
  return (
    <Action
      label={`${label} ${name}`}
      run={() => act('POST', `api/v1/subscriptions/${encodeURIComponent(name)}/${what}`)}
    >
      {label}
    </Action>
  );
}

function Rates({ of }: { of: Snapshot['subscriptions'][number]['rates'] }) {
  if (!of) return <>nothing was settled</>;
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const words = `${sum(of.handled)} handled, ${sum(of.failed)} failed${of.p95 === undefined ? '' : `, 95 % within ${Math.ceil(of.p95)} ms`}`;
  return (
    <>
      <Spark values={of.handled} bad={of.failed} label={words} /> {words}
    </>
  );
}

export function PublisherPage() {
  const { publisher } = now();
  return (
    <>
      <Heading>Publisher</Heading>
      <p class="note">What this process was told to publish and could not yet, and what it cannot.</p>
      <dl class="tiles">
        <Tile label="Waiting to be published" value={count(publisher.depth)} bad={publisher.depth > 0} />
        <Tile label="Size" value={bytes(publisher.bytes)} />
        <Tile label="The oldest has waited for" value={publisher.depth === 0 ? '–' : duration(publisher.oldestAgeMs)} />
        <Tile
          label="Kept"
          value={publisher.store === 'disk' ? 'on disk' : 'in memory'}
          bad={publisher.healthy === false}
        />
        <Tile label="Cannot be published" value={count(publisher.deadLetters)} bad={publisher.deadLetters > 0} />
        {publisher.adopted !== undefined && (
          <Tile label="Taken over from other processes" value={count(publisher.adopted)} />
        )}
        {publisher.quarantined !== undefined && (
          <Tile label="Put aside, unreadable" value={count(publisher.quarantined)} bad={publisher.quarantined > 0} />
        )}
      </dl>
      {(publisher.nacked ?? []).map(({ to: place, reason }, at) => (
        <p class="problem" key={at}>
          The broker takes nothing for <Text of={place} code />: <Text of={reason} />
        </p>
      ))}
      <p>
        <a href={to('dead-letters', { filter: 'queue:publisher', view: 'list' })}>The publisher’s dead letters</a>
      </p>
    </>
  );
}

export function ActivityPage() {
  const { activity } = now();
  return (
    <>
      <Heading>Activity</Heading>
      <p class="note">What was done in this process, the last 200; each is in its log as well.</p>
      {activity.length === 0 ? (
        <p>Nothing yet.</p>
      ) : (
        <Table columns={['When', 'Who', 'What', 'To what', 'Result']}>
          {activity.map(({ at, operator, action, subject, result }, index) => (
            <tr key={index}>
              <td>{time(at)}</td>
              <td>
                <Text of={operator} />
              </td>
              <td>{action}</td>
              <td>{subject === '' ? 'all' : <Text of={subject} code />}</td>
              <td>
                <Text of={result} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
