export default async function globalTeardown(): Promise<void> {
  await (globalThis as { stopBrokers?: () => Promise<void> }).stopBrokers?.();
}
