// Prints `N passed, N failed, N skipped` from the file that `jest --json --outputFile=…` wrote; exits non-zero unless all is well.
import { readFileSync } from 'node:fs';

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
if (!results?.success || failed > 0 || passed === 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
