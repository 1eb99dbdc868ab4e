import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const timers = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];
const useClock = 'Take the injected Clock (lib/clock): time is a dependency.';
const noExit = { object: 'process', property: 'exit', message: 'A library never ends its host.' };

const instantNow = { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: useClock };
const kept = ['kit', 'memory']; // which know no broker
const transports = readdirSync(join(import.meta.dirname, '../lib/transports'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !kept.includes(entry.name))
  .map(({ name }) => name);
const names = `/${['rabbit', 'jetstream', 'kafka', ...transports].join('|')}/i`;
const brokerNames = [`Literal[value=${names}]`, `TemplateElement[value.raw=${names}]`, `Identifier[name=${names}]`].map(
  (selector) => ({ selector, message: 'A broker is known in its folder only: core asks the transport.' }),
);

const relativeImports = [
  { regex: '^\\.{1,2}/(?!.*\\.js$)', message: 'Relative imports end in .js.' },
  { regex: '^\\.{1,2}(/.*)?/index(\\.js)?$', message: 'Import the file itself: an index.ts is for users only.' },
];

// Dependencies between folders and on packages are checked by config/dependency-cruiser.mjs.
export default defineConfig(
  { ignores: ['**/dist/', '**/.build/', '**/coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{js,mjs,cjs}'],
    extends: [js.configs.recommended],
    rules: { 'no-undef': 'off' },
  },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [js.configs.recommended, tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: dirname(import.meta.dirname) } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-imports': ['error', { patterns: relativeImports }],
      // Knows decorator metadata (it reads tsconfig.json): a class injected by its type stays a value import.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', caughtErrors: 'none', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'no-console': 'error',
      'no-restricted-properties': ['error', noExit],
    },
  },
  {
    files: ['lib/**/*.ts'],
    ignores: ['lib/clock/**', 'lib/dashboard/ui/**'],
    rules: {
      'no-restricted-globals': ['error', ...[...timers, 'performance'].map((name) => ({ name, message: useClock }))],
      'no-restricted-properties': [
        'error',
        noExit,
        { object: 'Date', property: 'now', message: useClock },
        { object: 'AbortSignal', property: 'timeout', message: useClock },
        { object: 'process', property: 'hrtime', message: useClock },
        ...timers.map((property) => ({ object: 'globalThis', property, message: useClock })),
      ],
      'no-restricted-syntax': ['error', instantNow],
      'no-restricted-imports': [
        'error',
        { patterns: [...relativeImports, { regex: '^(node:)?(timers|perf_hooks)(/.*)?$', message: useClock }] },
      ],
    },
  },
  {
    files: ['lib/**/*.ts'],
    // The requeue service is one of NATS; the command line takes the address of any broker; a database is a store as well;
    // what stands in for another package speaks of its broker.
    ignores: [
      'lib/{clock,clients,outbox,requeue,cli,stores,compat}/**',
      'lib/transports/names.ts',
      ...transports.map((name) => `lib/transports/${name}/**`),
    ],
    rules: { 'no-restricted-syntax': ['error', instantNow, ...brokerNames] },
  },
  {
    files: ['lib/dashboard/ui/**'],
    rules: {
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ':matches(Identifier, JSXIdentifier)[name=/^(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML)$/]',
          message: 'What comes from messages is text.',
        },
      ],
    },
  },
  {
    files: ['lib/**/index.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'Program > :not(ExportNamedDeclaration[source])', message: 'An index.ts re-exports, by name.' },
      ],
    },
  },
  {
    files: ['sample/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            ...relativeImports,
            { regex: '/lib/', message: 'A sample imports nestjs-messaging as its users do.' },
          ],
        },
      ],
    },
  },
  {
    files: ['{test,sample,bench}/**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
