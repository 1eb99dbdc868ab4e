/** As the pages do it: a stream where there is room for one, and else a question now and then. */
const ASK_MS = 5_000;

export class Tabs {
  #end = new AbortController();
  #all = [];

  static async open(base, count) {
    const tabs = new Tabs();
    for (let tab = 0; tab < count; tab++) await tabs.#add(base, (tab / count) * ASK_MS);
    return tabs;
  }

  async close() {
    this.#end.abort();
    await Promise.all(this.#all);
  }

  async #add(base, afterMs) {
    const { signal } = this.#end;
    const stream = await fetch(`${base}/api/v1/live`, { signal });
    if (stream.ok) return void this.#all.push(read(stream, signal));
    await stream.arrayBuffer();
    this.#all.push(ask(base, afterMs, signal));
  }
}

async function read(stream, signal) {
  try {
    for await (const part of stream.body) void part;
    throw new Error('A stream has ended by itself');
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function ask(base, afterMs, signal) {
  await pause(afterMs, signal);
  while (!signal.aborted) {
    const answer = await fetch(`${base}/api/v1/snapshot`);
    await answer.arrayBuffer();
    await pause(ASK_MS, signal);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
