import type { Clock } from '../clock/clock.js';
import { answered } from '../clock/answered.js';
import { MessagingError } from '../errors/messaging-error.js';
import { InvalidOptionError, UnsupportedError } from '../errors/configuration-errors.js';
import { errorMessage } from '../errors/redact.js';
import { checkAccess } from './access.js';
import { Activity } from './activity.js';
import { answer, empty, json } from '../web/answers.js';
import { DashboardApi, type Visitor } from './api.js';
import { BodyViews } from './body-view.js';
import type { ResolvedDashboard } from './dashboard-options.js';
import { memberOf } from './fleet/fleet-member.js';
import { FleetWatch } from './fleet/fleet-watch.js';
import { LetterSearch } from './letter-search.js';
import { Letters } from './letters.js';
import { LiveStreams } from './live-streams.js';
import type { ObservedMessaging } from './observed-messaging.js';
import { file, page, PUBLIC_FILES } from './pages.js';
import { QueueDepths } from './queue-depths.js';
import { Rates } from './rates.js';
import { Redrives } from './redrives.js';
import { Refusal } from '../web/refusal.js';
import { checkSameOrigin, type WebCall, readBody } from '../web/request-checks.js';
import { type Section, takeSnapshot } from './snapshot.js';
import type { Site } from '../web/site.module.js';
import { TokenLogin } from '../web/token-login.js';

const METHODS = ['GET', 'HEAD', 'POST', 'DELETE'];
const SNAPSHOT_MS = 1_000;
const ACCESS_MS = 2_000;

/** The dashboard of one connection in this process, for any number of pages. */
export class Dashboard implements Site {
  readonly clock: Clock;
  private readonly api: DashboardApi;
  private readonly streams: LiveStreams;
  private readonly redrives: Redrives;
  private readonly rates: Rates;
  private readonly depths: QueueDepths;
  private readonly letters: Letters;
  private readonly activity: Activity;
  private readonly fleet: FleetWatch | undefined;
  private readonly login: TokenLogin | undefined;
  private latest: { readonly at: number; readonly snapshot: Record<Section, unknown> } | undefined;

  constructor(
    private readonly messaging: ObservedMessaging,
    private readonly options: ResolvedDashboard,
  ) {
    const { clock } = messaging.environment;
    this.clock = clock;
    this.activity = new Activity(messaging);
    const bodies = new BodyViews(options.bodies);
    this.letters = new Letters(messaging, options);
    this.redrives = new Redrives(messaging, this.letters, this.activity);
    this.rates = new Rates(messaging.events, clock);
    this.depths = new QueueDepths(messaging);
    this.fleet = options.fleet && new FleetWatch(memberOf(messaging, options.fleet), clock);
    const { letters, redrives, rates, depths, activity, fleet } = this;
    const parts = { messaging, options, letters, redrives, rates, depths, activity, fleet };
    const take = (): Record<Section, unknown> => takeSnapshot(parts);
    this.streams = new LiveStreams(clock, () => this.snapshot(take));
    const search = new LetterSearch(messaging, letters, bodies);
    this.api = new DashboardApi({ ...parts, bodies, search, snapshot: () => this.snapshot(take) });
    this.login = options.token === undefined ? undefined : new TokenLogin(options.token, clock);
  }

  /** It answers whatever happens. */
  async handle(call: WebCall): Promise<Response> {
    try {
      return await this.answer(call);
    } catch (error) {
      return this.told(error);
    }
  }

  /** Ends the pages' streams, and redrives after their batch. */
  close(): void {
    this.streams.close();
    this.redrives.stopAll();
    this.rates.stop();
    this.activity.stop();
    this.fleet?.close();
  }

  private async answer(call: WebCall): Promise<Response> {
    const { method, segments } = call;
    if (!METHODS.includes(method)) return empty(405, { allow: METHODS.join(', ') });
    const reads = method === 'GET' || method === 'HEAD';
    const [first = ''] = segments;
    if (this.login && !this.login.isKnown(call.header('cookie'), call.header('authorization'))) {
      if (first === 'login' && method === 'POST') return this.enter(this.login, call);
      const open = reads && segments.length === 1 && PUBLIC_FILES.includes(first) && (await file(first, call));
      if (open) return open;
      return reads && first === '' ? page('login.js', call, this.options.path) : empty(401);
    }
    const visitor = await this.visitor(call);
    if (!visitor) return empty(403);
    if (!reads) {
      checkSameOrigin(call);
      if (first === 'logout' && this.login) return this.leave(this.login, call);
      return this.isApi(call) ? this.act(call, visitor) : empty(404);
    }
    if (first === '') return page('app.js', call, this.options.path);
    if (this.isApi(call)) return segments[2] === 'live' ? this.live() : this.api.get(call, visitor);
    return (segments.length === 1 && (await file(first, call))) || empty(404);
  }

  /** What has come of it is seen at once. */
  private async act(call: WebCall, visitor: Visitor): Promise<Response> {
    const done = await this.api.act(call, visitor);
    this.latest = undefined;
    this.streams.push();
    return done;
  }

  private isApi({ segments: [api, version, ...rest] }: WebCall): boolean {
    return api === 'api' && version === 'v1' && rest.length > 0;
  }

  private live(): Response {
    return answer(200, this.streams.add(), {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
  }

  private async enter(login: TokenLogin, call: WebCall): Promise<Response> {
    checkSameOrigin(call);
    const { token } = await readBody(call);
    return empty(204, { 'set-cookie': login.login(token, call.secure) });
  }

  private async leave(login: TokenLogin, call: WebCall): Promise<Response> {
    await readBody(call);
    return empty(204, { 'set-cookie': login.logout(call.secure) });
  }

  /** Undefined: nobody who may see anything. */
  private async visitor({ request }: WebCall): Promise<Visitor | undefined> {
    const { access, operator } = this.options;
    const { clock, log } = this.messaging.environment;
    let granted: Visitor['access'] | undefined;
    try {
      granted = checkAccess(await answered((async () => access(request as never))(), { clock, ms: ACCESS_MS }));
    } catch (error) {
      log.warn(`The dashboard refuses a request, since «access» failed: ${errorMessage(error)}`);
    }
    if (!granted) return undefined;
    let name: unknown;
    try {
      name = operator?.(request as never);
    } catch {
      // Whoever it is may look all the same.
    }
    return { access: granted, operator: typeof name === 'string' && name !== '' ? name.slice(0, 100) : 'somebody' };
  }

  private snapshot(take: () => Record<Section, unknown>): Record<Section, unknown> {
    const now = this.messaging.environment.clock.monotonic();
    this.rates.watch();
    this.depths.watch();
    this.fleet?.watch();
    if (!this.latest || now - this.latest.at >= SNAPSHOT_MS || this.latest.at > now)
      this.latest = { at: now, snapshot: take() };
    return this.latest.snapshot;
  }

  /** What went wrong, without anything of a message. */
  private told(error: unknown): Response {
    if (error instanceof Refusal) return json(error.status, { error: error.message, ...error.details });
    if (error instanceof InvalidOptionError) return json(400, { error: error.message });
    if (error instanceof UnsupportedError) return json(409, { error: error.message });
    const text = errorMessage(error);
    this.messaging.environment.log.warn(`The dashboard could not answer: ${text}`);
    return json(error instanceof MessagingError && error.retryable ? 503 : 500, { error: text });
  }
}
