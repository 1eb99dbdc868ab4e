/** The curl commands of a text, one per line. */
export function curlLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('curl '));
}

export interface Answer {
  readonly status: number;
  readonly body: any;
}

/** Does what a curl command says, as far as our documents use curl: `-s`, `-X`, `-H` and `-d`. */
export async function curl(line: string): Promise<Answer> {
  const [, ...words] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
  const headers: Record<string, string> = {};
  let url: string | undefined;
  let method: string | undefined;
  let body: string | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '-s') continue;
    if (word === '-X') method = words.shift();
    else if (word === '-d') body = words.shift();
    else if (word === '-H') {
      const [name, value] = words.shift()!.split(': ');
      headers[name] = value;
    } else if (word.startsWith('-') || url !== undefined) throw new Error(`«${word}» is not understood in: ${line}`);
    else url = word;
  }
  const response = await fetch(url!, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body });
  return { status: response.status, body: await response.json() };
}
