import { knownKeys } from '../errors/option-checks.js';
import type { DashboardAccess, Permission } from './access.js';
import { json, written } from '../web/answers.js';
import type { BodyViews } from './body-view.js';
import type { FleetAction } from './fleet/fleet-member.js';
import type { FoundLetters, LetterSearch } from './letter-search.js';
import { pageOfLetter, summaryOfLetter } from './letter-view.js';
import { deleteLetters, type RunOptions } from './redrives.js';
import { ConflictError, Refusal } from '../web/refusal.js';
import { type WebCall, readBody } from '../web/request-checks.js';
import { SECTIONS, type Section, type SnapshotParts } from './snapshot.js';

export interface ApiParts extends SnapshotParts {
  readonly search: LetterSearch;
  readonly bodies: BodyViews;
  readonly snapshot: () => Readonly<Record<Section, unknown>>;
}

/** Who asks. */
export interface Visitor {
  readonly access: Required<DashboardAccess>;
  readonly operator: string;
}

/** What is acted on. */
interface Shown {
  readonly filter: string;
  readonly letters: FoundLetters['letters'];
}

const PAGE = 50;
const SAMPLE = 10;
/** Above so many the number is asked for, to be typed. */
const MOST_UNASKED = 100;
const RUN_OPTIONS = ['dryRun', 'limit', 'rateLimit', 'canary', 'maxFailureRate'];

/** The answers below `api/v1`. */
export class DashboardApi {
  private latest: { readonly snapshot: object; readonly text: string } | undefined;

  constructor(private readonly parts: ApiParts) {}

  async get(call: WebCall, visitor: Visitor): Promise<Response> {
    const [name, key, ...rest] = call.segments.slice(2);
    if (rest.length > 0) throw notFound();
    if (name === 'session')
      return json(200, {
        access: visitor.access,
        operator: visitor.operator,
        token: this.parts.options.token !== undefined,
      });
    if (name === 'snapshot') return written(this.snapshotText(), call.header('accept-encoding'));
    if (SECTIONS.includes(name as Section) && key === undefined)
      return json(200, this.parts.snapshot()[name as Section]);
    if (name === 'plan') return json(200, await this.plan(call, visitor));
    if (name !== 'dead-letters') throw notFound();
    if (key === undefined)
      return written(JSON.stringify(await this.list(call, visitor)), call.header('accept-encoding'));
    if (key === 'groups')
      return written(JSON.stringify(await this.groups(call, visitor)), call.header('accept-encoding'));
    const held = await this.parts.letters.find(key);
    if (!held)
      throw new Refusal(
        404,
        'This dead letter is not here any more: redriven, deleted, or its queue was looked into again',
      );
    const { messaging, bodies } = this.parts;
    const inMemory = messaging.health().retryQueue.store === 'memory';
    return json(200, pageOfLetter(held, bodies, visitor.access.bodies, inMemory));
  }

  async act(call: WebCall, visitor: Visitor): Promise<Response> {
    const [name, key, action] = call.segments.slice(2);
    const path = `${call.method} ${[name, key === undefined || name === 'dead-letters' ? key : '*', action].filter(Boolean).join('/')}`;
    switch (path) {
      case 'POST looks':
        return this.look(call, visitor);
      case 'POST subscriptions/*/pause':
      case 'POST subscriptions/*/resume':
        return this.pause(key, action as 'pause' | 'resume', call, visitor);
      case 'POST subscriptions/*/pause-everywhere':
      case 'POST subscriptions/*/resume-everywhere':
        return this.pauseEverywhere(key, action === 'pause-everywhere', call, visitor);
      case 'POST fleet/*/pause':
      case 'POST fleet/*/resume':
        return this.command(key, action as FleetAction, call, visitor);
      case 'POST redrives':
        return this.redrive(call, visitor);
      case 'DELETE redrives/*':
        return this.stop(key, visitor);
      case 'POST dead-letters/delete':
        return this.delete(call, visitor);
      default:
        throw notFound();
    }
  }

  /** Written once for all who ask for the same one. */
  private snapshotText(): string {
    const snapshot = this.parts.snapshot();
    if (this.latest?.snapshot !== snapshot) this.latest = { snapshot, text: JSON.stringify(snapshot) };
    return this.latest.text;
  }

  private async groups(call: WebCall, { access }: Visitor): Promise<object> {
    const found = await this.find(call, access);
    return { ...this.known(found), groups: found.groups };
  }

  private async list(call: WebCall, { access }: Visitor): Promise<object> {
    const found = await this.find(call, access);
    const { letters } = found;
    const after = call.search.get('after');
    const from = after === null ? 0 : letters.findIndex(({ key }) => key === after) + 1;
    const page = letters.slice(from, from + PAGE);
    const next = from + PAGE < letters.length ? page.at(-1)!.key : undefined;
    return { ...this.known(found), fingerprint: found.fingerprint, letters: page.map(summaryOfLetter), next };
  }

  private async plan(call: WebCall, { access }: Visitor): Promise<object> {
    return this.planOf(await this.find(call, access, true));
  }

  private planOf(found: FoundLetters): object {
    return {
      ...this.known(found),
      fingerprint: found.fingerprint,
      sample: found.letters.slice(0, SAMPLE).map(summaryOfLetter),
      queues: found.queues,
    };
  }

  private known({ letters }: FoundLetters): object {
    const { archived, looks, ageMs } = this.parts.letters;
    // By seconds: pages that ask for the same get the same.
    return { ageMs: Math.floor(ageMs / 1_000) * 1_000, count: letters.length, archive: archived, looks };
  }

  private find(call: WebCall, access: Required<DashboardAccess>, fresh = false): Promise<FoundLetters> {
    return this.parts.search.find(call.search.get('filter') ?? '', access.bodies, fresh);
  }

  private async look(call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'look');
    const { queue } = await readBody(call);
    const { messaging, letters, activity } = this.parts;
    const isOurs = messaging.subscriptionSummaries().some(({ deadLetterQueue }) => deadLetterQueue === queue);
    if (typeof queue !== 'string' || !isOurs)
      throw new Refusal(404, 'This is no queue of dead letters of this process');
    const look = await letters.look(queue);
    activity.add(
      visitor.operator,
      'look',
      queue,
      `${look.count} dead letters${look.more ? ', and there are more' : ''}`,
    );
    return json(200, look);
  }

  private async pause(name: string, action: 'pause' | 'resume', call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'pause');
    await readBody(call);
    const { messaging, activity } = this.parts;
    messaging[action](name);
    activity.add(visitor.operator, action, name, 'done, in this process');
    return json(200, { name, action });
  }

  /** It is done when the other processes can see it: they follow within 5 s. */
  private async pauseEverywhere(name: string, pausing: boolean, call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'pauseEverywhere');
    await readBody(call);
    const { messaging, activity } = this.parts;
    if (!messaging.coordinated)
      throw new ConflictError(
        'Other processes are reached by the option «coordination»: a store that all of them share',
      );
    const until = pausing ? await messaging.pauseEverywhere(name) : await messaging.resumeEverywhere(name);
    const action = pausing ? 'pause everywhere' : 'resume everywhere';
    activity.add(visitor.operator, action, name, until ? `until ${until.toISOString()}` : 'done, in all processes');
    return json(200, { name, action, until });
  }

  /** In one process, this or another. */
  private async command(id: string, action: FleetAction, call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'pauseEverywhere');
    const { name } = await readBody(call);
    const { fleet, activity } = this.parts;
    if (!fleet || typeof name !== 'string') throw notFound();
    const where = await fleet.command(id, action, name, visitor.operator);
    activity.add(visitor.operator, action, name, `done, in ${where}`);
    return json(200, { name, action, where });
  }

  private async redrive(call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'redrive');
    const body = await readBody(call);
    knownKeys('redrive', body, ['filter', 'expected', 'options']);
    const { options = {} } = body;
    knownKeys('options', options as object, RUN_OPTIONS);
    const { filter, letters } = await this.shown(body, visitor);
    return json(202, this.parts.redrives.start(letters, filter, options as RunOptions, visitor.operator));
  }

  private stop(id: string, visitor: Visitor): Response {
    allow(visitor, 'redrive');
    const run = this.parts.redrives.stop(id);
    this.parts.activity.add(visitor.operator, 'stop redrive', run.filter, run.state);
    return json(200, run);
  }

  private async delete(call: WebCall, visitor: Visitor): Promise<Response> {
    allow(visitor, 'delete');
    const body = await readBody(call);
    knownKeys('delete', body, ['filter', 'expected', 'typed']);
    const { filter, letters: held } = await this.shown(body, visitor);
    if (held.length > MOST_UNASKED && body.typed !== held.length)
      throw new Refusal(400, `More than ${MOST_UNASKED} are deleted only where their number is typed`);
    const { messaging, letters, activity } = this.parts;
    const done = await deleteLetters(messaging, held);
    if (done >= held.length) letters.gone(held);
    else letters.uncertain(held);
    activity.add(visitor.operator, 'delete', filter, `${done} deleted`);
    return json(200, { done });
  }

  /** What the filter finds now, where that is what was seen. @throws ConflictError with what there is */
  private async shown({ filter = '', expected }: Record<string, unknown>, { access }: Visitor): Promise<Shown> {
    if (typeof filter !== 'string') throw new Refusal(400, 'The filter has to be a text');
    const { count, fingerprint } = (expected ?? {}) as Record<string, unknown>;
    if (typeof count !== 'number' || typeof fingerprint !== 'string')
      throw new Refusal(400, 'Say what was seen: expected: { count, fingerprint }, as the list and the plan tell them');
    const found = await this.parts.search.find(filter, access.bodies, true);
    if (found.letters.length === 0) throw new ConflictError('Nothing matches any more', { plan: this.planOf(found) });
    if (found.letters.length !== count || found.fingerprint !== fingerprint)
      throw new ConflictError(
        `What matches has changed since it was shown: ${found.letters.length} now, ${count} then. Nothing was done`,
        { plan: this.planOf(found) },
      );
    return { filter, letters: found.letters };
  }
}

function allow({ access }: Visitor, permission: Permission): void {
  if (!access[permission]) throw new Refusal(403, `You may not do this: it needs «${permission}»`);
}

const notFound = (): Refusal => new Refusal(404, 'There is nothing here');
