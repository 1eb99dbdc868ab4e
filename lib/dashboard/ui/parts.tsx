import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { seen } from './format.js';
import { Refused } from './api.js';

/** Text that came with messages. */
export function Text({ of, code }: { of: string; code?: boolean }) {
  const text = of === '' ? '‹empty›' : seen(of);
  return code ? <code dir="ltr">{text}</code> : <bdi>{text}</bdi>;
}

/** The heading of a page; it gets the focus, so that a screen reader begins there. */
export function Heading({ children, also }: { children: ComponentChildren; also?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (document.body.dataset.moved) heading.current?.focus();
    document.body.dataset.moved = 'yes';
    document.title = `${heading.current?.textContent ?? ''} – Messaging`;
  }, []);
  return (
    <header class="heading">
      <h1 ref={heading} tabIndex={-1}>
        {children}
      </h1>
      {also}
    </header>
  );
}

export function Tile({ label, value, bad }: { label: string; value: string; bad?: boolean }) {
  return (
    <div class={bad ? 'tile bad' : 'tile'}>
      <dt>{label}</dt>
      <dd>
        {value}
        {bad && <span class="hidden"> (needs attention)</span>}
      </dd>
    </div>
  );
}

export function State({ of }: { of: string }) {
  const good = ['consuming', 'connected', 'up', 'ended', 'handled'].includes(of);
  const bad = ['stopped', 'down', 'failed', 'closed', 'returned', 'lost'].includes(of);
  return <span class={`state ${good ? 'good' : bad ? 'bad' : 'so-so'}`}>{of}</span>;
}

/** A small picture of counts, with the same in words. */
export function Spark({ values, label, bad }: { values: readonly number[]; label: string; bad?: readonly number[] }) {
  const most = Math.max(1, ...values, ...(bad ?? []));
  const line = (of: readonly number[]): string =>
    of
      .map(
        (value, at) =>
          `${((at * 100) / Math.max(1, of.length - 1)).toFixed(1)},${(22 - (value * 20) / most).toFixed(1)}`,
      )
      .join(' ');
  return (
    <svg class="spark" viewBox="0 0 100 24" role="img" aria-label={label} preserveAspectRatio="none">
      <polyline points={line(values)} />
      {bad && <polyline class="bad" points={line(bad)} />}
    </svg>
  );
}

export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null;
  return (
    <p class="problem" role="alert">
      <Text of={error instanceof Error ? error.message : 'Something else was thrown'} />
    </p>
  );
}

/** What an asynchronous call came to, asked again when one of `inputs` changes. */
export function useAnswer<T>(
  ask: () => Promise<T>,
  inputs: readonly unknown[],
): { value?: T; error?: unknown; again: () => void } {
  const [state, setState] = useState<{ value?: T; error?: unknown }>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    ask().then(
      (value) => current && setState({ value }),
      (error: unknown) => current && setState((before) => ({ value: before.value, error })),
    );
    return () => {
      current = false;
    };
  }, [...inputs, turn]);
  return { ...state, again: () => setTurn((before) => before + 1) };
}

/** A button that does one thing at a time, and says what was wrong. */
export function Action({
  children,
  run,
  danger,
  label,
}: {
  children: ComponentChildren;
  run: () => Promise<unknown>;
  danger?: boolean;
  label?: string;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const click = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await run();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class={danger ? 'danger' : ''}
        aria-label={label}
        aria-disabled={busy}
        onClick={() => void (!busy && click())}
      >
        {children}
      </button>
      <Problem error={error} />
    </>
  );
}

/** Asks before something that cannot be taken back; Escape is no. */
export function Confirm({
  title,
  typed,
  yes,
  onYes,
  onNo,
}: {
  title: string;
  typed?: number;
  yes: string;
  onYes: () => Promise<unknown>;
  onNo: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  useEffect(() => dialog.current?.showModal(), []);
  const isTyped = typed === undefined || text === String(typed);
  return (
    <dialog ref={dialog} onClose={onNo} aria-labelledby="confirm-title">
      <h2 id="confirm-title">{title}</h2>
      {typed !== undefined && (
        <label>
          Type the number, {typed}
          <input inputMode="numeric" value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
        </label>
      )}
      <div class="buttons">
        {isTyped && (
          <Action danger run={async () => (await onYes(), dialog.current?.close())}>
            {yes}
          </Action>
        )}
        <button type="button" onClick={() => dialog.current?.close()}>
          No
        </button>
      </div>
    </dialog>
  );
}

export const isConflict = (error: unknown): error is Refused => error instanceof Refused && error.status === 409;

/** A heading: of text, of numbers, or for a screen reader alone. */
type Column = string | { readonly number: string } | { readonly hidden: string };

function ColumnHeading({ of }: { of: Column }) {
  if (typeof of === 'string') return <th scope="col">{of}</th>;
  if ('hidden' in of)
    return (
      <th scope="col">
        <span class="hidden">{of.hidden}</span>
      </th>
    );
  return (
    <th scope="col" class="number">
      {of.number}
    </th>
  );
}

/** Rows below their headings. A table that is too wide scrolls by itself, with the keyboard too. */
export function Table({ columns, children }: { columns: readonly Column[]; children: ComponentChildren }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {columns.map((column, at) => (
              <ColumnHeading key={at} of={column} />
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
