/** Keys that move in a list. @returns the index that a key leads to, or undefined for a key that does not move */
export function indexAfterKey(key: string, from: number, last: number): number | undefined {
  const next = {
    ArrowRight: from + 1,
    ArrowDown: from + 1,
    ArrowLeft: from - 1,
    ArrowUp: from - 1,
    Home: 0,
    End: last,
  }[key];
  return next === undefined ? undefined : Math.min(last, Math.max(0, next));
}
