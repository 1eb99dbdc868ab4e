// Names what failed, and prints `N passed, N failed, N skipped` over the files that `jest --json --outputFile=…` wrote; exits non-zero unless all is well.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const total = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2)) add(file);
if (total.failed > 0) process.exitCode = 1;
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

function add(resultsFile) {
  const results = read(resultsFile);
  if (!results) console.log(`The tests of ${resultsFile} did not run to their end.`);
  const passed = results?.numPassedTests ?? 0;
  for (const { name, message, assertionResults } of results?.testResults ?? []) {
    const file = relative('.', name);
    for (const { status, fullName, failureMessages } of assertionResults)
      if (status === 'failed') console.log(`✗ ${file} › ${fullName}\n${shortened(failureMessages.join('\n'))}`);
    if (assertionResults.length === 0 && message) console.log(`✗ ${file}\n${shortened(message)}`);
  }
  if (!results?.success || passed === 0) process.exitCode = 1;
  total.passed += passed;
  // A file that could not be loaded has no tests to count, and is a failure nevertheless.
  total.failed += results ? results.numFailedTests + results.numRuntimeErrorTestSuites : 0;
  total.skipped += results ? results.numPendingTests + results.numTodoTests : 0;
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Its first lines: what is seen of a long log is its end, and all that failed has to fit in there. */
function shortened(text) {
  const lines = stripVTControlCharacters(text).split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .slice(0, 8)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n');
}
