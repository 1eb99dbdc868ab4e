import { type Clock, systemClock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import { answer, empty } from '../web/answers.js';
import { Refusal } from '../web/refusal.js';
import type { WebCall } from '../web/request-checks.js';
import type { Site } from '../web/site.module.js';
import { TokenLogin } from '../web/token-login.js';
import { documentPage, FILES, SCRIPT, STYLE } from './document-page.js';
import type { AsyncApiDocument } from './document.js';
import { toYaml } from './yaml.js';

const METHODS = ['GET', 'HEAD'];

/** Parts of the site. */
export interface DocumentSiteParts {
  /** Where it is mounted. */
  readonly path: string;
  readonly token: string | undefined;
  /** May throw: then every request is answered with why. */
  readonly document: () => AsyncApiDocument;
  readonly warn: (message: string) => void;
}

/** The document of an application, as a page and as files. It is made at the first request, and once. */
export class DocumentSite implements Site {
  readonly clock: Clock = systemClock;
  private readonly login: TokenLogin | undefined;
  private made: AsyncApiDocument | undefined;

  constructor(private readonly parts: DocumentSiteParts) {
    this.login = parts.token === undefined ? undefined : new TokenLogin(parts.token, this.clock);
  }

  async handle(call: WebCall): Promise<Response> {
    try {
      return this.answer(call);
    } catch (error) {
      if (error instanceof Refusal) return answer(error.status, error.message, PLAIN);
      const message = errorMessage(error);
      this.parts.warn(`The AsyncAPI document cannot be made: ${message}`);
      return answer(500, `The AsyncAPI document cannot be made: ${message}\n`, PLAIN);
    }
  }

  close(): void {
    // Nothing is open.
  }

  private answer(call: WebCall): Response {
    if (!METHODS.includes(call.method)) return empty(405, { allow: METHODS.join(', ') });
    // Browsers ask for the token as for a password; nothing can be done here that another site could make them do.
    if (this.login && !this.login.isGiven(call.header('authorization')))
      return empty(401, { 'www-authenticate': 'Basic realm="AsyncAPI: any user, and the token", charset="UTF-8"' });
    const [name = '', ...more] = call.segments;
    if (more.length > 0) return empty(404);
    if (name === FILES.style) return answer(200, STYLE, { 'content-type': 'text/css; charset=utf-8' });
    if (name === FILES.script) return answer(200, SCRIPT, { 'content-type': 'text/javascript; charset=utf-8' });
    const wantsJson = name === '' && /^application\/json\b/.test(call.header('accept') ?? '');
    if (name === FILES.json || wantsJson) return answer(200, `${JSON.stringify(this.document, null, 2)}\n`, JSON_TYPE);
    if (name === FILES.yaml) return answer(200, toYaml(this.document), { 'content-type': 'application/yaml' });
    if (name !== '') return empty(404);
    const base = call.inFolder ? './' : `${this.parts.path.split('/').at(-1)}/`;
    return answer(200, documentPage(this.document, base), { 'content-type': 'text/html; charset=utf-8' });
  }

  private get document(): AsyncApiDocument {
    return (this.made ??= this.parts.document());
  }
}

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
