// Before the commands that need all dependencies.
import { installAll } from './install.mjs';

await installAll();
