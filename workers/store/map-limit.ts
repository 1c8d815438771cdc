/**
 * Applies `work` to every item, at most `limit` at a time. After a failure no further item is started.
 *
 * Never throws. It settles once no work is running, so that the caller can release the results that do exist.
 * @returns the results by the items' indices, with holes after a failure, and the first failure
 */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<{ results: R[]; failure?: { error: unknown } }> {
  const results: R[] = [];
  let failure: { error: unknown } | undefined;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        results[index] = await work(items[index], index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  return { results, ...(failure && { failure }) };
}
