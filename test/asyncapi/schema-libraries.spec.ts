import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { describeWithTools } from './tools.js';

/** In a process of its own: arktype is ES modules only, which Jest does not import. */
const CHILD = `
import { pathToFileURL } from 'node:url';
import { Module } from '@nestjs/common';
import { message, MessagingModule, memory } from 'nestjs-messaging';
import { asyncApi, unconnectedApplication } from 'nestjs-messaging/asyncapi';
const [arktype, valibot, toJsonSchema] = await Promise.all(process.argv.slice(1).map((file) => import(pathToFileURL(file))));
class AppModule {}
Module({ imports: [MessagingModule.forRoot({ service: 'shop', transport: memory() })] })(AppModule);
const app = await unconnectedApplication(AppModule);
const told = (schema) => {
  try {
    return asyncApi(app, { publishes: [message('order.created', schema)] }).components.schemas;
  } catch (error) {
    return error.message;
  }
};
const ofValibot = (fields) => toJsonSchema.toStandardJsonSchema(valibot.object(fields));
console.log(JSON.stringify({
  arktype: [told(arktype.type({ id: 'number' })), told(arktype.type({ at: 'Date' }))],
  valibot: [told(ofValibot({ id: valibot.number() })), told(ofValibot({ at: valibot.date() }))],
}));
await app.close();`;

describeWithTools('schemas of arktype, and of valibot through its converter', (load) => {
  test('are in the document, and a Date is an error that names the route and the field', () => {
    const libraries = ['arktype', 'valibot', '@valibot/to-json-schema'].map((name) => load.resolve(name));
    const cwd = resolve(__dirname, '../..');
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', CHILD, ...libraries], {
      cwd,
      encoding: 'utf8',
    });
    for (const [schemas, refusal] of Object.values(JSON.parse(output) as Record<string, [unknown, string]>)) {
      expect(Object.values(schemas as object)).toContainEqual(
        expect.objectContaining({ type: 'object', properties: { id: { type: 'number' } }, required: ['id'] }),
      );
      expect(refusal).toMatch(/«order\.created».*«\/?.*at»/);
    }
  });
});
