import { get } from './api.js';
import { bytes, seen, time } from './format.js';
import { Hex, JsonTree } from './json-tree.js';
import { session } from './live.js';
import { Heading, Problem, Table, Text, useAnswer } from './parts.js';
import { to } from './router.js';
import type { LetterPage as Detail } from './types.js';

export function LetterPage({ letterKey }: { letterKey: string }) {
  const { value, error } = useAnswer(() => get<Detail>(`dead-letters/${encodeURIComponent(letterKey)}`), [letterKey]);
  return (
    <>
      <Heading
        also={
          value &&
          session.value!.access.redrive && (
            <a class="button" href={to('redrive', { filter: `key:${letterKey}` })}>
              Redrive…
            </a>
          )
        }
      >
        One dead letter
      </Heading>
      <Problem error={error} />
      {value && <Shown of={value} />}
    </>
  );
}

function Shown({ of }: { of: Detail }) {
  const { error, body } = of;
  return (
    <>
      <dl class="facts card">
        <div>
          <dt>Message id</dt>
          <dd>
            <Text of={of.id} code />
          </dd>
        </div>
        <div>
          <dt>Route</dt>
          <dd>
            <Text of={of.route} code />
          </dd>
        </div>
        <div>
          <dt>Queue</dt>
          <dd>
            <Text of={of.queue} code /> ({of.place})
          </dd>
        </div>
        <div>
          <dt>Reason</dt>
          <dd>
            <Text of={of.reason} />
          </dd>
        </div>
        <div>
          <dt>Given up</dt>
          <dd>{time(of.time)}</dd>
        </div>
        <div>
          <dt>Attempts</dt>
          <dd>{of.attempts}</dd>
        </div>
      </dl>
      <h2>Error</h2>
      <p class="error">
        <Text of={`${error.class}${error.code === undefined ? '' : ` (${error.code})`}: ${error.message}`} />
      </p>
      {error.stack !== undefined && (
        <pre tabIndex={0} aria-label="Stack">
          {seen(error.stack)}
        </pre>
      )}
      <h2>Body, {bytes(body.bytes)}</h2>
      {body.hidden !== undefined && <p class="note">{body.hidden}</p>}
      {body.json && <JsonTree node={body.json} />}
      {body.text !== undefined && (
        <pre tabIndex={0} aria-label="Body">
          {seen(body.text)}
        </pre>
      )}
      {body.hex !== undefined && <Hex of={body.hex} />}
      <h2>Trail</h2>
      <ol class="trail">
        {of.trail.map(({ at, text }, index) => (
          <li key={index}>
            {at !== undefined && <time>{time(at)}</time>} <Text of={text} />
          </li>
        ))}
      </ol>
      <h2>Headers</h2>
      <Table columns={['Name', 'Value']}>
        {of.headers.map(([name, value], index) => (
          <tr key={index}>
            <th scope="row">
              <Text of={name} code />
            </th>
            <td>
              <Text of={value} code />
            </td>
          </tr>
        ))}
      </Table>
      {of.command !== undefined && (
        <>
          <h2>From a shell</h2>
          <pre tabIndex={0} aria-label="Command">
            {seen(of.command)}
          </pre>
        </>
      )}
    </>
  );
}
