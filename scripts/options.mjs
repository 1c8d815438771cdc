/** Options of the scripts that users start. Without dependencies, because they are read before anything is installed. */
import { parseArgs } from 'node:util';

/**
 * Reads the command line. If an option is unknown or has no value, one line says so and names the valid ones, and the
 * process ends with exit code 2.
 * @template {import('node:util').ParseArgsConfig} T
 * @param {T} config as for `parseArgs`
 * @param {string} usage how to call the script: `npm start -- [--port N]`
 * @returns {ReturnType<typeof parseArgs<T>>}
 */
export function readOptions(config, usage) {
  try {
    return parseArgs(config);
  } catch (error) {
    // Later sentences of Node.js are about scripts that take arguments beside options.
    const [reason] = error.message.split(/\.\s/);
    process.stderr.write(`${reason}. Use ${usage}.\n`);
    process.exit(2);
  }
}
