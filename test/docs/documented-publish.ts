import type { PublishOptions } from 'nestjs-messaging';
import { Markdown } from './markdown.js';

export const wireDocument = Markdown.read('docs/wire.md');
/** When the document publishes. */
export const PUBLISHED_AT = 1_900_000_000_000;

/** The arguments of `publisher.publish` in docs/wire.md. */
export function documentedPublish(): [string, unknown, PublishOptions] {
  const [{ code: publish }] = wireDocument.section('Bytes').blocks('ts');
  const list = /^await publisher\.publish\(([\s\S]*)\);$/.exec(publish.trim())![1];
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  return new Function(`return [${list}]`)() as [string, unknown, PublishOptions];
}
