/**
 * Runs commands side by side, and prints their output one after the other. Plain JavaScript without dependencies, like
 * test.mjs, which uses it.
 */
import { spawn } from 'node:child_process';

/** How many characters of a layer's output its summary gets. */
const TAIL_LENGTH = 8000;

/** The outputs of several commands, written in a fixed order without mixing. The first unfinished one is live. */
class OrderedOutput {
  #write;
  #names;
  #ended = new Set();
  #held = new Map();

  /**
   * @param {string[]} names in the order in which their outputs are written
   * @param {(text: string) => void} write
   */
  constructor(names, write) {
    this.#names = [...names];
    this.#write = write;
  }

  /** Writes a text if all outputs before this one have ended, or else keeps it until then. */
  add(name, text) {
    if (name === this.#names[0]) this.#write(text);
    else this.#held.set(name, (this.#held.get(name) ?? '') + text);
  }

  end(name) {
    this.#ended.add(name);
    while (this.#ended.has(this.#names[0])) {
      this.#names.shift();
      this.#write(this.#held.get(this.#names[0]) ?? '');
      this.#held.delete(this.#names[0]);
    }
  }
}

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} command
 * @property {string[]} args
 * @property {Record<string, string>} [env] added to this process's environment
 */

/**
 * @param {Layer} layer
 * @param {{ cwd: string, onText: (text: string) => void }} options
 * @returns {Promise<boolean>} whether it ended without an error
 */
function runCommand({ command, args, env }, { cwd, onText }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onText);
    child.on('error', (error) => {
      onText(`${command}: ${error.message}\n`);
      resolve(false);
    });
    child.on('close', (status) => resolve(status === 0));
  });
}

/**
 * Runs lanes of layers at the same time, and the layers of a lane one after the other.
 * @template {Layer} L
 * @param {L[][]} lanes
 * @param {object} options
 * @param {string[]} options.order the names of all layers, in the order of their outputs
 * @param {string} options.cwd
 * @param {(layer: L, ok: boolean, tail: string) => string} options.summary called when a layer has ended, with the end of
 *   its output; returns the text to print after it
 * @param {(text: string) => void} [options.write] default: to the standard output
 */
export async function runLanes(lanes, { order, cwd, summary, write = (text) => process.stdout.write(text) }) {
  const output = new OrderedOutput(order, write);
  await Promise.all(
    lanes.map(async (lane) => {
      for (const layer of lane) {
        let tail = '';
        const onText = (text) => {
          tail = (tail + text).slice(-TAIL_LENGTH);
          output.add(layer.name, text);
        };
        const ok = await runCommand(layer, { cwd, onText });
        output.add(layer.name, `${summary(layer, ok, tail)}\n`);
        output.end(layer.name);
      }
    }),
  );
}
