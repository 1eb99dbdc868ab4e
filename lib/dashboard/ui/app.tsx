import { render } from 'preact';
import { act, get } from './api.js';
import { FleetPage } from './fleet.js';
import { LetterPage } from './letter.js';
import { LettersPage } from './letters.js';
import { follow, link, session, snapshot } from './live.js';
import { ActivityPage, OverviewPage, PublisherPage, SubscriptionsPage } from './pages.js';
import { Text } from './parts.js';
import { QueuesPage } from './queues.js';
import { RedrivePage } from './redrive.js';
import { route, to } from './router.js';
import type { Session } from './types.js';

const PAGES: Record<string, [name: string, page: () => preact.JSX.Element]> = {
  '': ['Overview', () => <OverviewPage />],
  fleet: ['Fleet', () => <FleetPage />],
  subscriptions: ['Subscriptions', () => <SubscriptionsPage />],
  queues: ['Queues', () => <QueuesPage />],
  'dead-letters': ['Dead letters', () => <LettersPage />],
  redrive: ['Redrive', () => <RedrivePage />],
  publisher: ['Publisher', () => <PublisherPage />],
  activity: ['Activity', () => <ActivityPage />],
};

const LINKS = { live: 'live', asks: 'asks every 5 s', lost: 'no answer' };

function App() {
  const { parts } = route.value;
  const [name, key] = parts;
  if (!snapshot.value || !session.value)
    return (
      <main>
        <p role="status">Loading …</p>
      </main>
    );
  const { overview, fleet } = snapshot.value;
  const { environment, service } = overview;
  const pages = Object.entries(PAGES).filter(([path]) => path !== 'fleet' || fleet !== null);
  const page =
    name === 'dead-letters' && key !== undefined ? (
      <LetterPage key={key} letterKey={key} />
    ) : (
      (PAGES[name] ?? PAGES[''])[1]()
    );
  const skip = (event: Event): void => {
    event.preventDefault();
    document.querySelector<HTMLElement>('main h1')?.focus();
  };
  return (
    <>
      <a class="skip" href={to(parts.join('/'))} onClick={skip}>
        Skip to the content
      </a>
      <header class="top">
        <strong>
          <Text of={service} />
        </strong>
        <span class="badge" data-hue={hue(environment)}>
          <Text of={environment} />
        </span>
        <span class={`link ${link.value}`}>{LINKS[link.value]}</span>
        {session.value.token && (
          <button type="button" class="quiet" onClick={() => void act('POST', 'logout').then(() => location.reload())}>
            Log out
          </button>
        )}
      </header>
      <nav class="pages" aria-label="Pages">
        <ul>
          {pages.map(([path, [title]]) => (
            <li key={path}>
              <a href={to(path)} aria-current={path === name ? 'page' : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main key={parts.join('/')}>{page}</main>
    </>
  );
}

/** One of six colours, the same for the same name. */
function hue(name: string): number {
  if (/prod/i.test(name)) return 0;
  return 1 + ([...name].reduce((sum, character) => sum + character.codePointAt(0)!, 0) % 5);
}

void get<Session>('session').then((value) => {
  session.value = value;
  follow();
});
render(<App />, document.getElementById('app')!);
