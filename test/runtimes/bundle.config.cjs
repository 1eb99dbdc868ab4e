// For `nest build --webpack`: one file with everything in it, but for what is native or may be missing.
const outside = [
  '@photostructure/sqlite',
  '@nestjs/microservices',
  '@nestjs/websockets',
  'class-transformer',
  'class-validator',
];

module.exports = (options) => ({
  ...options,
  externals: [
    ({ request }, done) =>
      outside.some((name) => request === name || request.startsWith(`${name}/`))
        ? done(null, `commonjs ${request}`)
        : done(),
  ],
});
