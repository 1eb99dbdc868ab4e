import ts from 'typescript';

/** What is private says only that there is something: one member stands for all, without what is said of them. */
export function withoutPrivates(text) {
  const file = ts.createSourceFile('module.d.ts', text, ts.ScriptTarget.ES2022, true);
  const edits = [];
  const visit = (node) => {
    if (!ts.isClassDeclaration(node)) return ts.forEachChild(node, visit);
    const own = node.members.filter((member) => !ts.isConstructorDeclaration(member) && isPrivate(member));
    own.forEach((member, at) =>
      edits.push([member.getFullStart(), member.getEnd(), at === 0 ? '\n    #private;' : '']),
    );
  };
  visit(file);
  let result = text;
  for (const [start, end, replacement] of edits.reverse())
    result = result.slice(0, start) + replacement + result.slice(end);
  return result;
}

function isPrivate({ modifiers }) {
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true;
}
