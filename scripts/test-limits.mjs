/**
 * How long tests may take. These limits only end what hangs. They have to be long, because nothing says how fast the
 * machine is: beside another layer, or on a shared machine, everything can take many times as long as alone.
 */

/** For a test, a journey and a hook. */
export const TEST_MS = 300_000;
/**
 * For `vi.waitFor`, `expect.poll` and what a journey expects of a page. Less than {@link TEST_MS}, because their errors say
 * what was waited for.
 */
export const WAIT_MS = 60_000;
