export default {
  rootDir: '..',
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  globalSetup: '<rootDir>/test/brokers/global-setup.ts',
  globalTeardown: '<rootDir>/test/brokers/global-teardown.ts',
  // Copies of the package that other commands make.
  modulePathIgnorePatterns: ['<rootDir>/(.build|dist)/'],
  testEnvironment: 'node',
  testTimeout: 60_000,
  maxWorkers: 2,
  transform: {
    '^.+\\.[cm]?[jt]s$': [
      '@swc/jest',
      {
        swcrc: false,
        sourceMaps: true,
        module: { type: 'commonjs' },
        jsc: {
          target: 'es2022',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
      },
    ],
  },
  // Nest 12 is published as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(@nestjs)/)'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    '^nestjs-messaging$': '<rootDir>/lib/index.ts',
    '^nestjs-messaging/(rabbitmq|nats)$': '<rootDir>/lib/transports/$1/index.ts',
    '^nestjs-messaging/(health|opentelemetry|requeue|testing)$': '<rootDir>/lib/$1/index.ts',
  },
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts'],
};
