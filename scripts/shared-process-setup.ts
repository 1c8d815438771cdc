/**
 * Runs before each test file that shares its process with others. What a file has left behind would change the next one,
 * so fake timers and stubs end with it, and any other change of a global fails it.
 */
import { afterAll, vi } from 'vitest';

/** The names and values of globals. Those that Node makes on first use count as soon as they have been used. */
function globals(): Map<PropertyKey, unknown> {
  const properties = Object.getOwnPropertyDescriptors(globalThis) as Record<PropertyKey, PropertyDescriptor>;
  return new Map(
    Reflect.ownKeys(properties)
      .filter((key) => !String(key).startsWith('__vitest'))
      .map((key) => [key, properties[key].get ? undefined : properties[key].value]),
  );
}

const before = globals();

// Runs after those of the file.
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  const after = globals();
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const changed = names.filter(
    (name) =>
      before.has(name) !== after.has(name) || (before.get(name) !== undefined && after.get(name) !== before.get(name)),
  );
  if (changed.length > 0) throw new Error(`The file has changed globals: ${changed.map(String).join(', ')}`);
});
