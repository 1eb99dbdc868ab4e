/** The result of a promise that nobody else bounds, or an error when it takes too long. */
export async function within<T>(milliseconds: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${milliseconds} ms in vain for ${what}`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
