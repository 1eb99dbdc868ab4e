// Builds what is stale and runs jest. Alone `npm test` leaves out the files in which processes and brokers are killed,
// restarted and cut; `--kills` runs just these. A path in the arguments means that path, whatever is in there.
import { buildPackage, run } from './tasks.mjs';

const KILLS = '/test/(?!unit/|fault/mutations/).*(faults|kills|killed|processes)\\.spec\\.ts$';

const given = process.argv.slice(2);
const onlyKills = given[0] === '--kills';
const forwarded = onlyKills ? given.slice(1) : given;
const namesPath = forwarded.some((argument) => /^(\.\/)?test\//.test(argument));
await buildPackage({ onlyIfStale: true });
if (namesPath) run('jest', ...forwarded);
else if (onlyKills) run('jest', `--testPathPatterns=${KILLS}`, ...forwarded);
else run('jest', `--testPathIgnorePatterns=${KILLS}`, ...forwarded);
