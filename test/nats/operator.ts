import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { newDirectory } from '../brokers/run-directory.js';

const unlimited = { subs: -1, data: -1, payload: -1 };
const account = {
  limits: { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 },
};
const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** A server's operator with one account: who has a creds file of it may use JetStream. */
export class Operator {
  private readonly operator = nkeys.createOperator();
  private readonly account = nkeys.createAccount();
  private readonly system = nkeys.createAccount();
  private readonly directory = newDirectory('nats-creds');

  /** Lines of the server's configuration. */
  get conf(): string[] {
    const system = this.system.getPublicKey();
    const own = this.account.getPublicKey();
    const limits = { ...account.limits, ...jetstream };
    return [
      // Clients sign without native code, which takes a loaded machine longer than the two seconds of the default.
      'authorization: { timeout: 60 }',
      `operator: ${token(this.operator, this.operator.getPublicKey(), { type: 'operator' })}`,
      `system_account: ${system}`,
      'resolver: MEMORY',
      `resolver_preload: {`,
      `  ${system}: ${token(this.operator, system, { type: 'account', ...account })}`,
      `  ${own}: ${token(this.operator, own, { type: 'account', limits })}`,
      '}',
    ];
  }

  /** The path of a creds file for a new user, and the secret that is in it. `payload`: the most bytes of a message of his. */
  creds({ payload = -1 } = {}): { readonly path: string; readonly secret: string } {
    const user = nkeys.createUser();
    const secret = new TextDecoder().decode(user.getSeed());
    const jwt = token(this.account, user.getPublicKey(), { type: 'user', pub: {}, sub: {}, ...unlimited, payload });
    return { path: this.write(`${block('NATS USER JWT', jwt)}\n${block('USER NKEY SEED', secret)}`), secret };
  }

  /** The path of a file with that text. */
  write(text: string): string {
    const path = join(this.directory, `${randomUUID()}.creds`);
    writeFileSync(path, text);
    return path;
  }
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

function token(issuer: KeyPair, subject: string, claims: Readonly<Record<string, unknown>>): string {
  const header = base64url({ typ: 'JWT', alg: 'ed25519-nkey' });
  const payload = base64url({
    jti: randomUUID(),
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject,
    nats: { version: 2, ...claims },
  });
  const signature = issuer.sign(new TextEncoder().encode(`${header}.${payload}`));
  return `${header}.${payload}.${Buffer.from(signature).toString('base64url')}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function block(title: string, text: string): string {
  return `-----BEGIN ${title}-----\n${text}\n------END ${title}------\n`;
}
