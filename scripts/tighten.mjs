// Leaves out the spaces between the words of JavaScript; lines stay as they are, so that a stack says where it was.
import ts from 'typescript';

const WORDS = /[\w$#]$/;
const WORD = /^[\w$#\\]/;

export function tighten(text) {
  const file = ts.createSourceFile('module.js', text, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  let result = '';
  const visit = (node) => {
    const children = node.getChildren(file);
    if (children.length > 0) return children.forEach(visit);
    const word = node.getText(file);
    if (word === '') return;
    const between = text.slice(node.getFullStart(), node.getStart(file));
    result += (between.includes('\n') ? '\n' : between !== '' && isNeeded(result, word) ? ' ' : '') + word;
  };
  visit(file);
  const [program = ''] = /^#!.*\n/.exec(text) ?? [];
  return `${program}${result.trimStart()}\n`;
}

/** Whether two words would become one, or two signs another one: `a + +b`, `1 .toFixed()`, `a / /b/`. */
function isNeeded(before, word) {
  const last = before.at(-1) ?? '';
  return (
    (WORDS.test(last) && WORD.test(word)) ||
    (last === word[0] && '+-/'.includes(last)) ||
    (/\d/.test(last) && word[0] === '.')
  );
}
