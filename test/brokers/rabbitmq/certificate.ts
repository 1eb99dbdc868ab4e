import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInRoot } from '../chroot.js';

/** Writes key.pem and a self-signed certificate.pem for localhost; gives the certificate. */
export async function makeCertificate(root: string, directory: string): Promise<string> {
  const both = await runInRoot(root, [
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', '-', '-out', '-'],
  ]);
  const start = both.indexOf('-----BEGIN CERTIFICATE-----');
  if (start < 0) throw new Error(`openssl said ${both}`);
  writeFileSync(join(directory, 'key.pem'), both.slice(0, start), { mode: 0o600 });
  writeFileSync(join(directory, 'certificate.pem'), both.slice(start));
  return both.slice(start);
}
