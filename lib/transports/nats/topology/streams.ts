import type { StreamConfig, StreamInfo } from '@nats-io/jetstream';
import type { Clock } from '../../../clock/clock.js';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { apiCode, apiError, codeOf } from '../connection/broker-errors.js';
import { type Link, NANOS_PER_MS } from '../connection/link.js';
import { topicFilter, type Names } from '../names.js';
import type { Settings } from '../options.js';
import { Removals } from './removals.js';

/** Within this time a resend is recognised by its `Nats-Msg-Id`. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Another application may change the subjects of the stream at the same moment. */
const MOST_UPDATES = 10;

type Made = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects'>;
type ExistingStream = Pick<StreamInfo, 'config' | 'created'>;

/**
 * The two streams of an application. `<stream>` keeps a message as long as a queue it was meant for has not acked it
 * (interest retention): every queue is a consumer. `<stream>-delayed` keeps what is not due yet.
 */
export class Streams {
  private readonly topics = new Set<string>();
  private readonly told = new Set<string>();
  private readonly removals: Removals;

  constructor(
    private readonly names: Names,
    private readonly settings: Settings,
    private readonly provision: boolean,
    clock: Clock,
    private readonly redact: (text: string) => string,
    private readonly warn: (message: string) => void,
  ) {
    this.topics.add(names.stream);
    this.removals = new Removals(clock);
  }

  /** Makes the streams exist on a new connection. Rejects with a TopologyMismatchError when they are something else. */
  async prepare(link: Link): Promise<void> {
    if (!this.provision) return;
    await Promise.all([this.ensure(link), this.ensureDelayed(link)]);
  }

  /** The stream with the subjects of a topic. Tells since when it is there. */
  async ensureTopic(link: Link, topic: string, provision: boolean): Promise<string> {
    this.topics.add(topic);
    return this.ensure(link, provision && this.provision);
  }

  /** Further topics that the stream is to have. */
  want(topics: readonly string[]): void {
    for (const topic of topics) this.topics.add(topic);
  }

  /** Makes the stream exist with all topics that are wanted. */
  async provide(link: Link): Promise<void> {
    await this.ensure(link, this.provision);
  }

  /** With `provision: false`, what a publish to a topic needs and nobody has made. @throws TopologyMismatchError */
  async look(link: Link, topic: string): Promise<void> {
    const { stream, private: own } = this.names;
    const what = `the stream «${stream}»`;
    try {
      const { subjects } = (await link.manager.streams.info(stream)).config;
      const lacking = [topicFilter(topic), `${own}.>`].filter((subject) => !subjects.includes(subject));
      if (lacking.length > 0) throw lackingSubjects(what, lacking);
    } catch (error) {
      throw apiError(error, what, this.redact);
    }
  }

  /** What an operator should know of the stream, each once. */
  private advise({ config }: ExistingStream): void {
    const name = `The stream «${config.name}»`;
    if (config.storage === 'memory')
      this.tell(`${name} is kept in memory: what was confirmed is lost with the server. Create it with storage «file»`);
    else if (config.num_replicas < 2 && !this.settings.syncAlways)
      this.tell(
        `${name} has one replica, and a server writes to disk every two minutes unless it is told otherwise: a machine that loses power can lose what was confirmed. Set «sync_interval: always» in the server's «jetstream {…}» and «syncAlways: true» here, or use 3 replicas`,
      );
    const limited =
      config.max_age > 0 || config.max_msgs > 0 || config.max_bytes > 0 || config.max_msgs_per_subject > 0;
    if (config.max_age > 0 || (limited && config.discard !== 'new'))
      this.tell(
        `${name} drops messages that nobody has handled yet when it is full or they are old. Remove «max_age» and set discard «new»`,
      );
  }

  private async ensure(link: Link, provision = true): Promise<string> {
    const { stream } = this.names;
    const what = `the stream «${stream}»`;
    try {
      const found = (await this.find(link, stream, provision)) ?? (await this.create(link, this.config));
      this.check(found, 'interest');
      this.advise(found);
      await this.ensureSubjects(link, found, what, provision);
      return found.created;
    } catch (error) {
      throw apiError(error, what, this.redact);
    }
  }

  async ensureDelayed(link: Link): Promise<void> {
    const { delayed } = this.names;
    try {
      const found = (await this.find(link, delayed)) ?? (await this.create(link, this.delayedConfig));
      this.check(found, 'workqueue');
    } catch (error) {
      throw apiError(error, `the stream «${delayed}»`, this.redact);
    }
  }

  private async ensureSubjects(link: Link, found: ExistingStream, what: string, provision: boolean): Promise<void> {
    let subjects = found.config.subjects;
    for (let updates = 0; updates < MOST_UPDATES; updates++) {
      const lacking = this.subjects().filter((subject) => !subjects.includes(subject));
      if (lacking.length === 0) return;
      if (!provision) throw lackingSubjects(what, lacking);
      await link.manager.streams.update(this.names.stream, { subjects: [...subjects, ...lacking] });
      subjects = (await link.manager.streams.info(this.names.stream)).config.subjects;
    }
  }

  /** What the stream is made with. */
  get config(): Made {
    const description = 'nestjs-messaging: every queue is a consumer';
    return { ...this.common(), name: this.names.stream, description, retention: 'interest', subjects: this.subjects() };
  }

  get delayedConfig(): Made {
    const { delayed: name, delayedSubject } = this.names;
    const description = 'nestjs-messaging: messages that are not due yet';
    return { ...this.common(), name, description, retention: 'workqueue', subjects: [delayedSubject] };
  }

  private subjects(): string[] {
    return [...[...this.topics].map(topicFilter), `${this.names.private}.>`];
  }

  private common(): Partial<StreamConfig> {
    const { storage, replicas } = this.settings;
    return {
      storage: storage,
      num_replicas: replicas,
      discard: 'new',
      duplicate_window: DUPLICATE_WINDOW_MS * NANOS_PER_MS,
    };
  }

  /** Undefined where the stream is to be created, now. */
  private async find(link: Link, name: string, provision = true): Promise<ExistingStream | undefined> {
    try {
      return await link.manager.streams.info(name);
    } catch (error) {
      if (codeOf(error) !== apiCode.streamNotFound) throw error;
    }
    const what = `the stream «${name}»`;
    if (!provision) throw missing(what);
    if (this.removals.noticed(name)) this.warn(`${what} was deleted, with all that was in it. It is made again`);
    const removal = this.removals.over(name);
    return removal && removal.then(() => this.find(link, name));
  }

  /** Another application may create the stream at the same moment: then theirs counts. */
  private async create(link: Link, config: Made): Promise<ExistingStream> {
    try {
      return await link.manager.streams.add(config);
    } catch (error) {
      if (codeOf(error) !== apiCode.streamExists) throw error;
      return link.manager.streams.info(config.name);
    }
  }

  private check({ config }: ExistingStream, retention: string): void {
    const found = String(config.retention);
    if (found === retention) return this.removals.seen(config.name);
    throw new TopologyMismatchError(
      `The stream «${config.name}» exists with another «retention»: wanted «${retention}», found «${found}». Choose another «stream» in nats({…}), or delete this one once it is empty`,
    );
  }

  private tell(message: string): void {
    if (this.told.has(message)) return;
    this.told.add(message);
    this.warn(message);
  }
}

function lackingSubjects(what: string, lacking: readonly string[]): TopologyMismatchError {
  return new TopologyMismatchError(
    `${what} lacks the subjects ${lacking.map((subject) => `«${subject}»`).join(', ')}. Add them, or set «provision» to true`,
  );
}

function missing(what: string): TopologyMismatchError {
  return new TopologyMismatchError(`${what} does not exist. Create it, or set «provision» to true`);
}
