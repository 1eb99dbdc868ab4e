// Makes the CommonJS build of the ES modules: the same code in the same lines, but for what it imports and exports.
// Modules have no cycles (config/dependency-cruiser.mjs), so what is imported is there when it is asked for.
import ts from 'typescript';

const HEAD = '"use strict";Object.defineProperty(exports,"__esModule",{value:true});';

/** @throws Error for a way to import or export that lib does not use */
export function toCommonJs(text, name) {
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, false, ts.ScriptKind.JS);
  const edits = [];
  const exported = [];
  const replace = (node, replacement) => edits.push([node.getStart(file), node.getEnd(), replacement]);
  const unknown = (node) => new Error(`${name}: not known to scripts/commonjs.mjs: ${node.getText(file)}`);
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) replace(statement, imported(statement, unknown));
    else if (ts.isExportDeclaration(statement)) replace(statement, reexported(statement, exported, unknown));
    else if (ts.isExportAssignment(statement)) throw unknown(statement);
    const [modifier, ...others] = statement.modifiers?.filter(({ kind }) => EXPORTING.has(kind)) ?? [];
    if (!modifier) continue;
    if (others.length > 0 || modifier.kind !== ts.SyntaxKind.ExportKeyword) throw unknown(statement);
    edits.push([modifier.getStart(file), modifier.getEnd() + 1, '']);
    exported.push(...namesOf(statement, unknown).map((own) => [own, own]));
  }
  const visit = (node) => {
    // Jest, for one, knows no import() in CommonJS.
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      replace(node, `Promise.resolve().then(() => require(${node.arguments[0].getText(file)}))`);
    else ts.forEachChild(node, visit);
  };
  visit(file);
  const tail = exported.map(([own, other]) => `exports.${other}=${own};`).join('');
  return `${HEAD}${applied(text, edits).trimEnd()}\n${tail}\n`;
}

const EXPORTING = new Set([ts.SyntaxKind.ExportKeyword, ts.SyntaxKind.DefaultKeyword]);

function imported({ importClause, moduleSpecifier }, unknown) {
  const required = `require('${moduleSpecifier.text}')`;
  if (!importClause) return `${required};`;
  const { name, namedBindings } = importClause;
  // What another module has by default depends on who made it; what is Node's is the module itself.
  if (name && (namedBindings || !moduleSpecifier.text.startsWith('node:'))) throw unknown(moduleSpecifier);
  if (name) return `const ${name.text}=${required};`;
  if (!ts.isNamedImports(namedBindings)) throw unknown(moduleSpecifier);
  const names = namedBindings.elements.map(({ propertyName, name: own }) =>
    propertyName ? `${propertyName.text}:${own.text}` : own.text,
  );
  return `const{${names.join(',')}}=${required};`;
}

function reexported({ exportClause, moduleSpecifier }, exported, unknown) {
  if (!exportClause || !ts.isNamedExports(exportClause)) throw unknown(exportClause ?? moduleSpecifier);
  const pairs = exportClause.elements.map(({ propertyName, name }) => [(propertyName ?? name).text, name.text]);
  if (moduleSpecifier)
    return pairs.map(([own, other]) => `exports.${other}=require('${moduleSpecifier.text}').${own};`).join('');
  exported.push(...pairs);
  return '';
}

function namesOf(statement, unknown) {
  if (statement.name) return [statement.name.text];
  if (!ts.isVariableStatement(statement)) throw unknown(statement);
  return statement.declarationList.declarations.map(({ name }) => {
    if (!ts.isIdentifier(name) || !(statement.declarationList.flags & ts.NodeFlags.Const)) throw unknown(statement);
    return name.text;
  });
}

function applied(text, edits) {
  let result = text;
  for (const [start, end, replacement] of edits.sort(([one], [other]) => other - one))
    result = result.slice(0, start) + replacement + result.slice(end);
  return result;
}
