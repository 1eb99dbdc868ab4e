import { readFileSync } from 'node:fs';

// The import direction inside lib: a folder may import what stands on its own line or on an earlier one.
const layers = [
  ['errors', 'clock', 'clients'],
  ['message', 'durable-queue', 'web'],
  ['transport', 'serializers'],
  ['events'],
  ['transports', 'pipeline'],
  ['retry', 'idempotency', 'coordination'],
  ['publisher', 'consumer', 'request'],
  ['dead-letter', 'delay', 'outbox', 'recurring', 'transaction', 'requeue'],
  ['health', 'opentelemetry', 'prometheus', 'dashboard', 'stores'],
  // Files directly in lib (messaging.*, index.ts) and these may import everything.
  ['testing', 'asyncapi', 'topology', 'cli', 'compat', 'integrations'],
];

const { peerDependenciesMeta } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const clients = Object.keys(peerDependenciesMeta).filter(
  (name) => !/croner|terminus|opentelemetry|sqlite|microservices/.test(name) && peerDependenciesMeta[name].optional,
);

const folders = (names) => `^lib/(${names.join('|')})/`;

const direction = layers.slice(0, -1).map((names, i) => ({
  name: `direction-${names.join('-')}`,
  comment: `${names.join(', ')} may only import: ${layers
    .slice(0, i + 1)
    .flat()
    .join(', ')}`,
  severity: 'error',
  // An indicator and a module are faces of the whole package towards Nest, like the files directly in lib.
  from: { path: folders(names), pathNot: '\\.(indicator|module)\\.ts$' },
  to: { path: '^lib/', pathNot: folders(layers.slice(0, i + 1).flat()) },
}));

const forbidden = [
  ...direction,
  {
    name: 'known-folders',
    comment: 'A new folder in lib gets its place among the layers in config/dependency-cruiser.mjs',
    severity: 'error',
    from: { path: '^lib/[^/]+/', pathNot: folders(layers.flat()) },
    to: {},
  },
  {
    name: 'transports-know-the-seam-only',
    comment:
      'lib/transports/* may only import errors, clock, clients, message, transport, the kit and their own folder; the kit imports no broker',
    severity: 'error',
    from: { path: '^lib/transports/([^/]+)/' },
    to: { path: '^lib/', pathNot: '^lib/(errors|clock|clients|message|transport|transports/kit|transports/$1)/' },
  },
  {
    name: 'no-test-code',
    comment: 'Only lib/testing imports lib/testing',
    severity: 'error',
    from: { path: '^lib/', pathNot: '^lib/testing/' },
    to: { path: '^lib/testing/' },
  },
  {
    name: 'no-cycle',
    severity: 'error',
    from: { path: '^lib/' },
    to: { circular: true },
  },
  {
    name: 'no-index',
    comment: 'An index.ts is for users of the package; inside lib import the file itself',
    severity: 'error',
    from: { path: '^lib/' },
    to: { path: '/index\\.ts$', pathNot: 'node_modules' },
  },
  {
    name: 'clients-in-transports-only',
    comment:
      'A broker is reached through its transport; the requeue service is one of NATS; a database is a store as well as a broker',
    severity: 'error',
    from: { path: '^lib/', pathNot: '^lib/(transports/(?!kit/)[^/]+|requeue|clients|compat)/' },
    to: { path: `(^|/)(@types/)?(${clients.join('|')})(/|$)` },
  },
  {
    name: 'terminus-in-health-only',
    severity: 'error',
    from: { path: '^lib/', pathNot: '^lib/health/' },
    to: { path: '(^|/)@nestjs/terminus(/|$)' },
  },
  {
    name: 'microservices-in-their-stand-in-only',
    severity: 'error',
    from: { path: '^lib/', pathNot: '^lib/compat/microservices/' },
    to: { path: '(^|/)@nestjs/microservices(/|$)' },
  },
  {
    name: 'opentelemetry-in-its-folder-only',
    severity: 'error',
    from: { path: '^lib/', pathNot: '^lib/(opentelemetry|prometheus)/' },
    to: { path: '(^|/)@opentelemetry(/|$)' },
  },
  {
    name: 'optional-peers-stay-optional',
    comment: 'The root must load, and its types must check, where no optional peer is installed',
    severity: 'error',
    from: { path: '^lib/index\\.ts$' },
    to: {
      path: `(^|/)(${clients.join('|')}|@nestjs/terminus|@nestjs/microservices|@opentelemetry)(/|$)`,
      reachable: true,
    },
  },
  {
    name: 'nest-free',
    comment: '@nestjs/* is imported only where Nest is the subject',
    severity: 'error',
    from: { path: '^lib/(errors|clock|clients|durable-queue|message|transport|transports)/' },
    to: { path: '(^|/)@nestjs/' },
  },
  {
    name: 'peers-only',
    comment: 'What lib imports at run time is a (peer) dependency',
    severity: 'error',
    from: { path: '^lib/' },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer', 'npm'] },
  },
  {
    name: 'resolvable',
    severity: 'error',
    from: { path: '^lib/' },
    to: { couldNotResolve: true },
  },
];

export default {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    // What runs in the browser: bundled, with what it needs.
    exclude: { path: '^lib/dashboard/ui/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
  },
};
