import type { ChangeVerdict, DocumentChange } from '../asyncapi/document-comparison.js';

/** Changes in words, for people or for tools; `file` is the new document. */
type Format = (changes: readonly DocumentChange[], file: string, version: string) => string;

const WORDS: Readonly<Record<ChangeVerdict, string>> = {
  breaks: 'BREAKS',
  unknown: 'UNKNOWN',
  warns: 'warns',
  ok: 'ok',
};
const LEVELS = { breaks: 'error', unknown: 'warning', warns: 'warning', ok: 'note' } as const;

const verdictOf = ({ verdict, accepted }: DocumentChange): string =>
  accepted === undefined ? WORDS[verdict] : 'accepted';
const levelOf = ({ verdict, accepted }: DocumentChange): (typeof LEVELS)[ChangeVerdict] =>
  accepted === undefined ? LEVELS[verdict] : 'note';
const because = ({ accepted }: DocumentChange): string => (accepted === undefined ? '' : `; accepted: ${accepted}`);

export const FORMATS: Readonly<Record<string, Format>> = {
  text: (changes) =>
    changes.length === 0
      ? 'No changes'
      : changes.map((one) => `${verdictOf(one).padEnd(8)} ${one.id}: ${one.text}${because(one)}`).join('\n'),
  json: (changes) => JSON.stringify(changes, null, 2),
  markdown: (changes) =>
    [
      '| verdict | change | what it means |',
      '|---|---|---|',
      ...changes.map((one) => `| ${verdictOf(one)} | ${cell(one.id)} | ${cell(one.text + because(one))} |`),
    ].join('\n'),
  github: (changes, file) =>
    changes
      .map((one) => {
        const level = levelOf(one) === 'note' ? 'notice' : levelOf(one);
        return `::${level} file=${property(file)},title=${property(one.id)}::${data(one.text + because(one))}`;
      })
      .join('\n'),
  sarif: (changes, file, version) =>
    JSON.stringify(
      {
        $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
        version: '2.1.0',
        runs: [
          {
            tool: { driver: { name: 'nestjs-messaging', version, rules: Object.keys(LEVELS).map((id) => ({ id })) } },
            results: changes.map((one) => ({
              ruleId: one.verdict,
              level: levelOf(one),
              message: { text: `${one.id}: ${one.text}${because(one)}` },
              locations: [{ physicalLocation: { artifactLocation: { uri: file } } }],
              partialFingerprints: { change: one.id },
              ...(one.accepted !== undefined && { suppressions: [{ kind: 'external', justification: one.accepted }] }),
            })),
          },
        ],
      },
      null,
      2,
    ),
};

function cell(text: string): string {
  return text.replace(/\|/g, '\\|').replace(/[\r\n]+/g, ' ');
}

/** As commands of GitHub's runner are escaped. */
function data(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

function property(text: string): string {
  return data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
}
