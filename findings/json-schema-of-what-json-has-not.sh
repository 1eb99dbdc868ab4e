#!/usr/bin/env bash
# arktype 2.2.10, zod 4.6.7, valibot 1.5.0 with @valibot/to-json-schema 1.8.0, by Standard JSON Schema (`~standard.jsonSchema`).
# A schema has a field that JSON Schema cannot say, a Date. Guess: one interface, one answer, an error. zod and valibot throw, each
# with a text of its own, and none says which field it is; arktype writes `{}`, «anything», without a word: a document of it that
# was checked in says of the field that everything is allowed.
source "$(dirname "$0")/support.sh"
packages arktype@2.2.10 zod@4.6.7 valibot@1.5.0 @valibot/to-json-schema@1.8.0

seen=$(run <<'JS'
import { type } from 'arktype';
import { z } from 'zod';
import * as v from 'valibot';
import { toStandardJsonSchema } from '@valibot/to-json-schema';
const schemas = {
  arktype: type({ at: 'Date' }),
  zod: z.object({ at: z.date() }),
  valibot: toStandardJsonSchema(v.object({ at: v.date() })),
};
for (const [name, schema] of Object.entries(schemas)) {
  try {
    const { properties } = schema['~standard'].jsonSchema.input({ target: 'draft-07' });
    console.log(`${name}: ${JSON.stringify(properties)}`);
  } catch (error) {
    console.log(`${name}: throws, naming the field: ${/\bat\b/.test(error.message)}`);
  }
}
JS
)
verdict 'a Date in Standard JSON Schema' "$seen" "$(cat <<'EXPECTED'
arktype: {"at":{}}
zod: throws, naming the field: false
valibot: throws, naming the field: false
EXPECTED
)"
