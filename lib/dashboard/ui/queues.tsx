import { act } from './api.js';
import { ago, count } from './format.js';
import { session, snapshot } from './live.js';
import { Action, Heading, Table, State, Text } from './parts.js';
import { to } from './router.js';
import type { Look } from './types.js';

export function QueuesPage() {
  const { queues, subscriptions } = snapshot.value!;
  return (
    <>
      <Heading>Queues</Heading>
      <h2>Queues of subscriptions</h2>
      <Table columns={['Queue', { number: 'Ready' }, { number: 'In flight here' }, 'State']}>
        {subscriptions.map(({ queue, ready, inFlight, state }) => (
          <tr key={queue}>
            <th scope="row">
              <Text of={queue} code />
            </th>
            <td class="number">{count(ready)}</td>
            <td class="number">{inFlight}</td>
            <td>
              <State of={state} />
            </td>
          </tr>
        ))}
      </Table>
      <h2>Queues of dead letters</h2>
      <LookNote />
      <Table columns={['Queue', { number: 'Dead letters' }, 'Counted', 'Looked into']}>
        {queues.deadLetterQueues.map(({ queue, count: letters, countedAt, look }) => (
          <tr key={queue}>
            <th scope="row">
              <Text of={queue} code />
            </th>
            <td class="number">{count(letters)}</td>
            <td>{ago(countedAt)}</td>
            <td>
              <LookButton queue={queue} look={look} />
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}

export function LookNote() {
  if (snapshot.value!.queues.archive)
    return (
      <p class="note">Dead letters are moved into the archive: they are listed without a look into their queues.</p>
    );
  return (
    <p class="note">
      A queue is read only when you ask for it: its messages are taken and given back, other readers do not see them
      meanwhile, and some brokers count a delivery. With an archive no look is needed.
    </p>
  );
}

export function LookButton({ queue, look, done }: { queue: string; look?: Look; done?: () => void }) {
  return (
    <>
      {look && (
        <a href={to('dead-letters', { filter: `queue:"${queue}"` })}>
          {look.count}
          {look.more && ' and more'}, {ago(look.at)}
        </a>
      )}{' '}
      {session.value!.access.look && (
        <Action
          label={`${look ? 'Look again' : 'Look into the queue'}: ${queue}`}
          run={() => act('POST', 'api/v1/looks', { queue }).then(done)}
        >
          {look ? 'Look again' : 'Look into the queue'}
        </Action>
      )}
    </>
  );
}
