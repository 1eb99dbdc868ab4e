import type { AsyncApiDocument } from './document.js';
import { isObject, type Json, unpointed } from './json.js';
import { schemaRows } from './schema-rows.js';

/** Beside the page, at the names that the specification recommends. */
export const FILES = { json: 'asyncapi.json', yaml: 'asyncapi.yaml', style: 'asyncapi.css', script: 'asyncapi.js' };

export const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8882;--link:light-dark(#0b57d0,#8ab4f8)}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
a{color:var(--link)}h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{overflow-wrap:anywhere}
code,pre{font:14px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}pre{background:var(--soft);padding:.75rem;overflow-x:auto}
.table{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
button{font:inherit;padding:.2rem .8rem}section{margin-bottom:2rem}:target{outline:2px solid var(--link);outline-offset:.5rem}
`;

export const SCRIPT = `for (const button of document.querySelectorAll('button[data-copies]')) {
  button.hidden = !navigator.clipboard;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = 'Copied';
  });
}
`;

/** The document as a page for readers. `base` is where its files are, seen from the address of the page. */
export function documentPage(document: AsyncApiDocument, base: string): string {
  const { info, servers, operations, components } = document;
  const title = text(info.title);
  const below = escaped(base);
  const all = Object.entries(operations);
  const sent = all.filter(([, { action }]) => action === 'send');
  const received = all.filter(([, { action }]) => action === 'receive');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${below}${FILES.style}">
<script type="module" src="${below}${FILES.script}"></script>
</head>
<body>
<header>
<h1>${title}</h1>
<p>Version ${text(info.version)} · AsyncAPI ${document.asyncapi} · <a href="${below}${FILES.json}">JSON</a> · <a href="${below}${FILES.yaml}">YAML</a></p>
${paragraph(info.description)}
</header>
<main>
<h2>Servers</h2>
${table(
  ['Connection', 'Protocol', 'Host'],
  Object.entries(servers).map(([name, server]) => [code(name), text(server.protocol), code(server.host)]),
)}
${part('Receives', received)}
${part('Sends', sent)}
<h2>Messages</h2>
${Object.entries(components.messages)
  .map(([name, message]) => messageSection(name, message, document))
  .join('\n')}
</main>
</body>
</html>
`;
}

function part(title: string, operations: readonly (readonly [string, Json])[]): string {
  if (operations.length === 0) return '';
  return `<h2>${title}</h2>\n${operations.map(([name, one]) => operationSection(name, one)).join('\n')}`;
}

function operationSection(name: string, operation: Json): string {
  const messages = Array.isArray(operation.messages) ? operation.messages : [];
  const semantics = isObject(operation['x-nestjs-messaging']) ? operation['x-nestjs-messaging'] : {};
  const facts: (readonly [string, string])[] = [
    ['channel', code(lastOf(operation.channel))],
    ['messages', messages.map((one) => link(lastOf(one))).join(', ') || 'not described'],
    ...Object.entries(semantics).map(([key, value]) => [escaped(key), said(value)] as const),
  ];
  const reply = isObject(operation.reply) ? operation.reply : undefined;
  const answers = reply && Array.isArray(reply.messages) ? reply.messages : [];
  if (reply) facts.push(['reply', answers.map((one) => link(lastOf(one))).join(', ') || 'yes']);
  return `<section>
<h3>${escaped(name)}${operation.deprecated === true ? ' (deprecated)' : ''}</h3>
${paragraph(operation.summary)}${paragraph(operation.description)}
<dl>${facts.map(([term, fact]) => `<dt>${term}</dt><dd>${fact}</dd>`).join('')}</dl>
</section>`;
}

function messageSection(name: string, message: Json, document: AsyncApiDocument): string {
  const resolve = (reference: string): unknown => found(document, reference);
  const rows = schemaRows(schemaOf(message.payload), resolve);
  const examples = Array.isArray(message.examples) ? (message.examples as readonly Json[]) : [];
  return `<section id="${anchor(name)}">
<h3>${escaped(name)}${message.deprecated === true ? ' (deprecated)' : ''}</h3>
${paragraph(message.summary)}${paragraph(message.description)}
<p>${text(message.contentType)}</p>
${table(
  ['Property', 'Type', 'Required', 'Rules'],
  rows.map(({ path, type, required, rules }) => [
    code(path === '' ? '(payload)' : path),
    escaped(type),
    required ? 'yes' : '',
    escaped(rules.join('; ')),
  ]),
)}
${examples.map((example, at) => exampleOf(`${anchor(name)}-${at + 1}`, example)).join('\n')}
</section>`;
}

function exampleOf(id: string, example: Json): string {
  return `<pre id="${id}">${escaped(JSON.stringify(example.payload, null, 2) ?? '')}</pre>
<button type="button" data-copies="${id}">Copy</button>`;
}

/** A schema, or one wrapped with the name of its format. */
function schemaOf(payload: unknown): unknown {
  return isObject(payload) && typeof payload.schemaFormat === 'string' ? payload.schema : payload;
}

/** What a pointer into the document points at. */
function found(document: AsyncApiDocument, reference: string): unknown {
  let at: unknown = document;
  for (const part of reference.replace(/^#\//, '').split('/')) at = isObject(at) ? at[unpointed(part)] : undefined;
  return at;
}

function lastOf(reference: unknown): string {
  const pointer = isObject(reference) ? String(reference.$ref) : '';
  return unpointed(pointer.split('/').at(-1) ?? '');
}

function link(name: string): string {
  return `<a href="#${anchor(name)}">${escaped(name)}</a>`;
}

function anchor(name: string): string {
  // What is half a character cannot be a part of an address.
  const whole = name.replace(/\p{Surrogate}/gu, '\u{FFFD}');
  return `message-${encodeURIComponent(whole).replace(/%/g, '_')}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const headings = head.map((cell) => `<th scope="col">${cell}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('');
  return `<div class="table" tabindex="0"><table><thead><tr>${headings}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function said(value: unknown): string {
  return typeof value === 'object' ? code(JSON.stringify(value)) : text(value);
}

function paragraph(value: unknown): string {
  return typeof value === 'string' ? `<p>${escaped(value)}</p>` : '';
}

function code(value: unknown): string {
  return `<code>${text(value)}</code>`;
}

function text(value: unknown): string {
  return escaped(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
}

function escaped(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
