/** What stands behind a path, decoded. The path may stand behind a prefix, or a proxy may have taken it away. */
export function segmentsBehind(path: string, pathname: string): string[] {
  const at = `${pathname}/`.indexOf(`${path}/`);
  const behind = at < 0 ? pathname : pathname.slice(at + path.length);
  return behind.split('/').filter(Boolean).map(decoded);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
