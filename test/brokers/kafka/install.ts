import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirectory } from '../cache-directory.js';
import { withFileLock } from '../file-lock.js';
import { runCommand } from '../run-command.js';

const pom = join(__dirname, 'pom.xml');

/** The version in the list of what is fetched. */
export const kafkaVersion = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)/.exec(
  readFileSync(pom, 'utf8'),
)![1];

/** The folder with the jars, fetched from Maven Central the first time: about 44 MB. Rejects where that cannot be. */
export async function installKafka(): Promise<string> {
  await provideCommand('java', 'default-jre-headless', ['-version']);
  const jars = join(cacheDirectory(), `kafka-${kafkaVersion}`);
  if (existsSync(jars)) return jars;
  await mkdir(dirname(jars), { recursive: true, mode: 0o700 });
  await withFileLock(`${jars}.lock`, async () => {
    if (existsSync(jars)) return;
    const building = `${jars}.building`;
    await rm(building, { recursive: true, force: true });
    try {
      await provideCommand('mvn', 'maven', ['--version']);
      process.stderr.write(`Kafka ${kafkaVersion}: downloading from Maven Central…\n`);
      const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${building}`];
      await runCommand('mvn', ['--batch-mode', '-q', '-f', pom, ...copy]);
      await rename(building, jars);
    } catch (error) {
      throw new Error(`not from Maven Central: ${(error as Error).message.split('\n')[0]}`, { cause: error });
    } finally {
      await rm(building, { recursive: true, force: true });
    }
  });
  return jars;
}

/** Installs it where it is missing: on Debian, as root. Rejects where that cannot be. */
async function provideCommand(command: string, debianPackage: string, check: readonly string[]): Promise<void> {
  if (await works(command, check)) return;
  const missing = new Error(`no ${command}: Debian has it in ${debianPackage} (a JRE of version 17 or later)`);
  if (process.getuid?.() !== 0) throw missing;
  process.stderr.write(`Kafka ${kafkaVersion}: installing ${debianPackage}…\n`);
  await mkdir(cacheDirectory(), { recursive: true, mode: 0o700 });
  await withFileLock(join(cacheDirectory(), 'apt-get.lock'), async () => {
    await runCommand('apt-get', ['update', '-qq']).catch(() => {});
    await runCommand('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage]);
  }).catch((error: unknown) => {
    throw new Error(missing.message, { cause: error });
  });
  if (!(await works(command, check))) throw missing;
}

function works(command: string, check: readonly string[]): Promise<boolean> {
  return runCommand(command, check).then(
    () => true,
    () => false,
  );
}
