/** What the API answers with, as far as the pages use it. */
export interface Session {
  access: Record<'bodies' | 'look' | 'pause' | 'pauseEverywhere' | 'redrive' | 'delete', boolean>;
  operator: string;
  token: boolean;
}

export interface Overview {
  environment: string;
  service: string;
  name: string;
  coordinated: boolean;
  status: 'up' | 'degraded' | 'down';
  connection: { state: string; since: string; host: string; reason?: string; advice?: string };
  ready?: number;
  inFlight: number;
  handledPerSecond: number;
  failedPerSecond: number;
  deadLetters: { queues: number; archive?: number; publisher: number };
  retryQueue: { depth: number; oldestAgeMs: number };
  troubles: { text: string; page: string }[];
  lettersVersion: number;
}

export interface Subscription {
  name: string;
  handledBy?: string;
  queue: string;
  routes: string[];
  deadLetterQueue?: string;
  prefetch?: number;
  attempts?: number;
  idempotent?: boolean;
  state: string;
  inFlight: number;
  reason?: string;
  ready?: number;
  rates?: { handled: number[]; failed: number[]; p95?: number };
}

export interface Look {
  queue: string;
  at: number;
  count: number;
  more: boolean;
}

export interface Queues {
  archive?: { total: number; held: number };
  deadLetterQueues: { queue: string; count?: number; countedAt?: number; look?: Look }[];
}

export interface PublisherState {
  store: string;
  depth: number;
  bytes: number;
  oldestAgeMs: number;
  healthy?: boolean;
  adopted?: number;
  quarantined?: number;
  nacked?: { to: string; reason: string; waiting?: number }[];
  deadLetters: number;
  undeliverable: number;
}

export interface Run {
  id: string;
  filter: string;
  count: number;
  queues: string[];
  options: { dryRun?: boolean; canary?: unknown; rateLimit?: number };
  startedBy: string;
  startedAt: number;
  endedAt?: number;
  state: 'running' | 'stopping' | 'ended' | 'failed';
  progress?: { examined: number; total: number; done: number; failed: number; waiting: boolean };
  result?: {
    done: number;
    failed: number;
    matched: number;
    arrived: number;
    stopped?: string;
    failures: { id: string; error: string }[];
    canaries?: { id: string; fate: string }[];
  };
  error?: string;
}

export interface Operation {
  at: number;
  operator: string;
  action: string;
  subject: string;
  result: string;
}

export interface FleetProcess {
  id: string;
  service: string;
  connection: string;
  host: string;
  pid: number;
  startedAt: number;
  version?: string;
  status: 'up' | 'degraded' | 'down';
  troubles: string[];
  inFlight: number;
  waiting: number;
  subscriptions: { name: string; state: string; inFlight: number; reason?: string }[];
  more: number;
  answeredAt: number;
  missed: number;
}

export interface Fleet {
  /** The process that shows it. */
  own: string;
  problem?: string;
  refused: Record<string, number>;
  more: boolean;
  processes: FleetProcess[];
}

export interface Snapshot {
  overview: Overview;
  subscriptions: Subscription[];
  queues: Queues;
  publisher: PublisherState;
  redrives: Run[];
  activity: Operation[];
  /** Null: this process is in none. */
  fleet: Fleet | null;
}

export interface Letter {
  key: string;
  place: 'archive' | 'queue' | 'publisher';
  id: string;
  queue: string;
  route: string;
  reason: string;
  error: { class: string; code?: string; message: string; stack?: string };
  attempts: number;
  time?: number;
  bytes: number;
}

export interface Known {
  ageMs: number;
  count: number;
  archive?: { total: number; held: number };
  looks: Look[];
}

export interface Group {
  group: string;
  reason: string;
  error: string;
  message: string;
  queue: string;
  route: string;
  count: number;
  first?: number;
  last?: number;
  hours: number[];
}

export interface Plan extends Known {
  fingerprint: string;
  sample: Letter[];
  queues: { queue: string; count: number }[];
}

export interface LetterList extends Known {
  fingerprint: string;
  letters: Letter[];
  next?: string;
}

export type JsonNode =
  | ['object', [string, JsonNode][], number?]
  | ['array', JsonNode[], number?]
  | ['value', string | number | boolean | null]
  | ['hidden', string];

export interface LetterPage extends Letter {
  origin: Record<string, string>;
  headers: [string, string][];
  body: { bytes: number; hidden?: string; json?: JsonNode; text?: string; hex?: string };
  archivedAt?: number;
  trail: { at?: number; text: string }[];
  command?: string;
}
