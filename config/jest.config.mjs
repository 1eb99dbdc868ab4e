import { swcOptions } from '../scripts/compile.mjs';

export default {
  rootDir: '..',
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  globalSetup: '<rootDir>/test/brokers/global-setup.ts',
  globalTeardown: '<rootDir>/test/brokers/global-teardown.ts',
  // Copies of the package that other commands make.
  modulePathIgnorePatterns: ['<rootDir>/(.build|dist)/'],
  testEnvironment: 'node',
  testTimeout: 60_000,
  maxWorkers: 3,
  testSequencer: '<rootDir>/config/longest-first.mjs',
  transform: {
    '/lib/dashboard/ui-assets\\.ts$': '<rootDir>/config/ui-assets-transform.mjs',
    '^.+\\.[cm]?[jt]s$': ['@swc/jest', { ...swcOptions('commonjs'), sourceMaps: true }],
  },
  // Nest 12 is published as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(@nestjs)/)'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^nestjs-messaging$': '<rootDir>/lib/index.ts',
    '^nestjs-messaging/transport$': '<rootDir>/lib/transports/kit/index.ts',
    '^nestjs-messaging/(.*)$': ['<rootDir>/lib/transports/$1/index.ts', '<rootDir>/lib/$1/index.ts'],
  },
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts'],
};
