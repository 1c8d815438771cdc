/**
 * Runs before each test file that shares its process with others. What a file has left behind would change the next one,
 * so fake timers and stubs end with it, and any other change of a global fails it.
 */
import { afterAll, vi } from 'vitest';

/**
 * The names and values of globals. Those that Node makes on first use count as soon as they have been used. Libraries keep
 * what they share in symbols.
 */
function globals(): Map<string, unknown> {
  const properties = Object.entries(Object.getOwnPropertyDescriptors(globalThis));
  return new Map(
    properties
      .filter(([name]) => !name.startsWith('__vitest'))
      .map(([name, { get, value }]) => [name, get ? undefined : value]),
  );
}

const before = globals();

// Runs after those of the file.
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  const after = globals();
  const isChanged = (name: string): boolean =>
    before.has(name) !== after.has(name) ||
    (before.get(name) !== undefined && !Object.is(before.get(name), after.get(name)));
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(isChanged);
  if (changed.length > 0) throw new Error(`The file has changed globals: ${changed.join(', ')}`);
});
