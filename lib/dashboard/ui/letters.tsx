import { useState } from 'preact/hooks';
import { act, get } from './api.js';
import { ago, count, seen, time } from './format.js';
import { session, snapshot } from './live.js';
import { LookButton, LookNote } from './queues.js';
import { Confirm, Heading, Problem, Table, Spark, Text, useAnswer } from './parts.js';
import { go, route, to } from './router.js';
import type { Group, Known, Letter, LetterList } from './types.js';

const query = (search: Record<string, string>): string => new URLSearchParams(search).toString();

export function LettersPage() {
  const { search } = route.value;
  const filter = search.get('filter') ?? '';
  const view = search.get('view') ?? (filter === '' ? 'groups' : 'list');
  return (
    <>
      <Heading>Dead letters</Heading>
      <FilterBar key={filter} filter={filter} view={view} />
      <div class="tabs" role="group" aria-label="View">
        <a href={to('dead-letters', { filter, view: 'groups' })} aria-current={view === 'groups' ? 'true' : undefined}>
          Groups
        </a>
        <a href={to('dead-letters', { filter, view: 'list' })} aria-current={view === 'list' ? 'true' : undefined}>
          List
        </a>
      </div>
      {view === 'groups' ? <Groups filter={filter} /> : <List filter={filter} />}
    </>
  );
}

function FilterBar({ filter, view }: { filter: string; view: string }) {
  const [text, setText] = useState(filter);
  const submit = (event: Event): void => {
    event.preventDefault();
    go('dead-letters', { filter: text, view: text === filter ? view : 'list' });
  };
  return (
    <form class="filter" role="search" onSubmit={submit}>
      <label for="filter">Filter</label>
      <input
        id="filter"
        type="search"
        spellcheck={false}
        autocomplete="off"
        value={text}
        aria-describedby="filter-help"
        onInput={({ currentTarget }) => setText(currentTarget.value)}
      />
      <button type="submit">Search</button>
      <small id="filter-help">
        <code>error:PaymentError</code> <code>route:order.*</code> <code>reason:expired</code> <code>newer:1d</code>{' '}
        <code>header.tenant:7</code> <code>body.customer.id:42</code> <code>"a text"</code>
      </small>
    </form>
  );
}

/** Where they come from, and how complete that is. */
function KnownLine({ of, again }: { of: Known; again: () => void }) {
  const { archive, looks } = of;
  const queues = snapshot.value!.queues.deadLetterQueues.filter(({ count: letters }) => (letters ?? 0) > 0);
  return (
    <>
      <p class="note" role="status">
        {count(of.count)} {of.count === 1 ? 'dead letter' : 'dead letters'}
        {archive &&
          `, of ${count(archive.total)} in the archive${archive.held < archive.total ? `; the newest ${count(archive.held)} are searched` : ''}`}
        {!archive && looks.length > 0 && `, as seen in ${looks.length} ${looks.length === 1 ? 'queue' : 'queues'}`}.{' '}
        <button type="button" class="quiet" onClick={again}>
          Reload
        </button>
      </p>
      {!archive && queues.length > 0 && (
        <details class="card" open={looks.length === 0}>
          <summary>
            {queues.length} {queues.length === 1 ? 'queue holds' : 'queues hold'} dead letters
          </summary>
          <LookNote />
          <ul class="plain">
            {queues.map(({ queue, count: letters, look }) => (
              <li key={queue}>
                <Text of={queue} code /> ({count(letters)}) <LookButton queue={queue} look={look} done={again} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const version = (): number => snapshot.value!.overview.lettersVersion;

function Groups({ filter }: { filter: string }) {
  const { value, error, again } = useAnswer(
    () => get<Known & { groups: Group[] }>(`dead-letters/groups?${query({ filter })}`),
    [filter, version()],
  );
  return (
    <>
      <Problem error={error} />
      {value && <KnownLine of={value} again={again} />}
      {value && value.groups.length > 0 && (
        <Table
          columns={[
            'Error',
            { number: 'Count' },
            'Last',
            'Last day',
            'Reason',
            'Queue and route',
            { hidden: 'Actions' },
          ]}
        >
          {value.groups.map((one) => (
            <tr key={one.group}>
              <th scope="row">
                <a href={to('dead-letters', { filter: `group:${one.group}`, view: 'list' })}>
                  <Text of={one.error} />
                </a>
                <div class="below">
                  <Text of={one.message} />
                </div>
              </th>
              <td class="number">{count(one.count)}</td>
              <td>
                <span title={time(one.last)}>{ago(one.last)}</span>
              </td>
              <td>
                <Spark values={one.hours} label={`${one.hours.reduce((sum, hour) => sum + hour, 0)} in the last day`} />
              </td>
              <td>{seen(one.reason)}</td>
              <PlaceCell of={one} />
              <td>
                {session.value?.access.redrive && (
                  <a
                    class="button"
                    href={to('redrive', { filter: `group:${one.group}` })}
                    aria-label={`Redrive… ${one.count} of ${seen(one.error)}`}
                  >
                    Redrive…
                  </a>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

function List({ filter }: { filter: string }) {
  const [after, setAfter] = useState<string[]>([]);
  // What was shown when somebody asked, whatever comes meanwhile.
  const [deleting, setDeleting] = useState<LetterList>();
  const at = after.at(-1);
  const { value, error, again } = useAnswer(
    () => get<LetterList>(`dead-letters?${query({ filter, ...(at && { after: at }) })}`),
    [filter, at, version()],
  );
  const access = session.value!.access;
  return (
    <>
      <Problem error={error} />
      {value && <KnownLine of={value} again={again} />}
      {value && value.count > 0 && (
        <>
          <div class="buttons">
            {access.redrive && (
              <a class="button" href={to('redrive', { filter })}>
                Redrive {count(value.count)}…
              </a>
            )}
            {access.delete && (
              <button type="button" class="danger" onClick={() => setDeleting(value)}>
                Delete {count(value.count)}…
              </button>
            )}
          </div>
          <Letters of={value.letters} />
          <nav class="buttons" aria-label="Pages of the list">
            {after.length > 0 && (
              <button type="button" onClick={() => setAfter(after.slice(0, -1))}>
                Newer
              </button>
            )}
            {value.next !== undefined && (
              <button type="button" onClick={() => setAfter([...after, value.next!])}>
                Older
              </button>
            )}
          </nav>
        </>
      )}
      {deleting && (
        <Confirm
          title={`Delete ${deleting.count} dead letters for good?`}
          typed={deleting.count > 100 ? deleting.count : undefined}
          yes="Delete"
          onNo={() => setDeleting(undefined)}
          onYes={async () => {
            const { count: shown, fingerprint } = deleting;
            await act('POST', 'api/v1/dead-letters/delete', {
              filter,
              expected: { count: shown, fingerprint },
              typed: shown,
            }).finally(again);
          }}
        />
      )}
    </>
  );
}

/** Where a letter was. */
function PlaceCell({ of }: { of: { readonly queue: string; readonly route: string } }) {
  return (
    <td>
      <Text of={of.queue} code />
      <div class="below">
        <Text of={of.route} code />
      </div>
    </td>
  );
}

export function Letters({ of }: { of: readonly Letter[] }) {
  return (
    <Table columns={['Message', 'Given up', 'Error', 'Reason', 'Queue and route']}>
      {of.map((one) => (
        <tr key={one.key}>
          <th scope="row">
            <a href={to(`dead-letters/${one.key}`)}>
              <Text of={one.id} code />
            </a>
          </th>
          <td>{time(one.time)}</td>
          <td>
            <Text of={one.error.class} />
            <div class="below">
              <Text of={one.error.message} />
            </div>
          </td>
          <td>
            <Text of={one.reason} />
          </td>
          <PlaceCell of={one} />
        </tr>
      ))}
    </Table>
  );
}
