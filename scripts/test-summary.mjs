// Names what failed, and prints `N passed, N failed, N skipped` from the file that `jest --json --outputFile=…` wrote; exits non-zero unless all is well.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

let results;
try {
  results = JSON.parse(readFileSync(process.argv[2], 'utf8'));
} catch {
  console.log('The tests did not run to their end.');
}
const passed = results?.numPassedTests ?? 0;
// A file that could not be loaded has no tests to count, and is a failure nevertheless.
const failed = results ? results.numFailedTests + results.numRuntimeErrorTestSuites : 0;
const skipped = results ? results.numPendingTests + results.numTodoTests : 0;
for (const { name, message, assertionResults } of results?.testResults ?? []) {
  const file = relative('.', name);
  for (const { status, fullName, failureMessages } of assertionResults)
    if (status === 'failed') console.log(`✗ ${file} › ${fullName}\n${shortened(failureMessages.join('\n'))}`);
  if (assertionResults.length === 0 && message) console.log(`✗ ${file}\n${shortened(message)}`);
}
if (!results?.success || failed > 0 || passed === 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);

/** Its first lines: what is seen of a long log is its end, and all that failed has to fit in there. */
function shortened(text) {
  const lines = stripVTControlCharacters(text).split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .slice(0, 8)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n');
}
