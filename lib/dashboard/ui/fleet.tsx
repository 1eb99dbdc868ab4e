import { act } from './api.js';
import { ago, count, duration } from './format.js';
import { session, snapshot } from './live.js';
import { isPausedEverywhere } from './pages.js';
import { Action, Heading, State, Table, Text } from './parts.js';
import type { Fleet, FleetProcess } from './types.js';

export function FleetPage() {
  const { fleet } = snapshot.value!;
  return (
    <>
      <Heading>Fleet</Heading>
      {fleet === null ? <p>This process is in no fleet.</p> : <Processes of={fleet} />}
    </>
  );
}

function Processes({ of: { own, problem, refused, more, processes } }: { of: Fleet }) {
  const reasons = Object.entries(refused).map(([reason, times]) => `${times} ${reason}`);
  return (
    <>
      <p class="note">
        The processes that have the same secret, asked every 5 s while a page is open. One that has not answered three
        times is not shown any more.
      </p>
      {problem !== undefined && (
        <p class="problem">
          <Text of={problem} />
        </p>
      )}
      {reasons.length > 0 && (
        <p class="problem">
          Messages that this process has not listened to: {reasons.join(', ')}. Another secret, or clocks that differ?
        </p>
      )}
      {processes.length === 0 && <p>Nobody has answered yet.</p>}
      {processes.map((one) => (
        <Process key={one.id} of={one} own={one.id === own} />
      ))}
      {more && <p class="note">There are more processes than are shown.</p>}
    </>
  );
}

function Process({ of, own }: { of: FleetProcess; own: boolean }) {
  const name = `${of.service}, ${of.host}:${of.pid}`;
  return (
    <section class="card" aria-label={name}>
      <header class="heading">
        <h2>
          <Text of={name} />
        </h2>
        <State of={of.status} />
        {own && <span class="note">this process</span>}
        {of.missed > 0 && <span class="state so-so">no answer since {ago(of.answeredAt)}</span>}
      </header>
      {of.troubles.length > 0 && (
        <ul class="troubles">
          {of.troubles.map((text, at) => (
            <li key={at}>
              <Text of={text} />
            </li>
          ))}
        </ul>
      )}
      <dl class="facts">
        <div>
          <dt>Runs for</dt>
          <dd>{duration(Date.now() - of.startedAt)}</dd>
        </div>
        {of.version !== undefined && (
          <div>
            <dt>Version</dt>
            <dd>
              <Text of={of.version} />
            </dd>
          </div>
        )}
        <div>
          <dt>Connection</dt>
          <dd>
            <Text of={of.connection} />
          </dd>
        </div>
        <div>
          <dt>In flight</dt>
          <dd>{count(of.inFlight)}</dd>
        </div>
        <div>
          <dt>Waiting to be published</dt>
          <dd>{count(of.waiting)}</dd>
        </div>
      </dl>
      {of.subscriptions.length > 0 && (
        <Table columns={['Subscription', 'State', { number: 'In flight' }, { hidden: 'Actions' }]}>
          {of.subscriptions.map((one, at) => (
            <tr key={at}>
              <th scope="row">
                <Text of={one.name} />
              </th>
              <td>
                <State of={one.state} />{' '}
                {one.reason !== undefined && (
                  <span class="note">
                    <Text of={one.reason} />
                  </span>
                )}
              </td>
              <td class="number">{count(one.inFlight)}</td>
              <td>{session.value!.access.pauseEverywhere && <Turn of={of} where={name} one={one} />}</td>
            </tr>
          ))}
        </Table>
      )}
      {of.more > 0 && <p class="note">… and {of.more} more subscriptions</p>}
    </section>
  );
}

function Turn({ of, where, one }: { of: FleetProcess; where: string; one: FleetProcess['subscriptions'][number] }) {
  if (isPausedEverywhere(one)) return null;
  const action = one.state === 'paused' ? 'resume' : 'pause';
  const label = action === 'pause' ? 'Pause' : 'Resume';
  return (
    <Action
      label={`${label} ${one.name} of ${where}`}
      run={() => act('POST', `api/v1/fleet/${encodeURIComponent(of.id)}/${action}`, { name: one.name })}
    >
      {label}
    </Action>
  );
}
