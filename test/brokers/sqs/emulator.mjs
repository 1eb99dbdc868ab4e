// The emulator in a process of its own: `node emulator.mjs <port>` in a folder with its packages.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { buildApp } = await import(pathToFileURL(join(process.cwd(), 'node_modules/fauxqs/dist/app.js')).href);
const port = Number(process.argv[2]);
await buildApp({ logger: false, host: `127.0.0.1:${port}` }).listen({ port, host: '127.0.0.1' });
