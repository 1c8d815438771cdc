/** Parses and checks the arguments of the command line. An error names the option. */
import { parseArgs } from 'node:util';
import type { LoadRequest } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';

type Kind = 'string' | 'boolean' | 'integer' | 'number' | 'compute';

/** Options of the commands that load a model. */
const LOAD = {
  context: 'integer',
  compute: 'compute',
  threads: 'integer',
  'gpu-budget': 'number',
  'ram-budget': 'number',
} as const;

/** Options that change how experts are selected. */
const ROUTING = {
  'resident-bias': 'number',
  'skip-below': 'number',
  'experts-used': 'integer',
  'choices-skipped': 'integer',
  'random-experts': 'integer',
  'router-noise': 'number',
  'noise-seed': 'integer',
  'ban-experts': 'string',
  'replace-experts': 'string',
} as const;

/** Options of each command. `!` marks required options. */
export const COMMANDS = {
  generate: {
    model: 'string!',
    prompt: 'string!',
    chat: 'boolean',
    'max-tokens': 'integer!',
    temperature: 'number',
    'top-k': 'integer',
    'top-p': 'number',
    'min-p': 'number',
    'repetition-penalty': 'number',
    seed: 'integer',
    'ignore-eos': 'boolean',
    'top-logprobs': 'integer',
    'json-schema': 'string',
    ...LOAD,
    ...ROUTING,
    json: 'boolean',
  },
  perplexity: {
    model: 'string!',
    'text-file': 'string!',
    ...LOAD,
    ...ROUTING,
    'trace-out': 'string',
    json: 'boolean',
  },
  bench: { model: 'string!', 'text-file': 'string!', ...LOAD, json: 'boolean' },
  tokenize: { model: 'string!', 'text-file': 'string!', json: 'boolean' },
  inspect: {
    model: 'string!',
    ...LOAD,
    'gpu-rate': 'number',
    'store-rate': 'number',
    json: 'boolean',
  },
  synth: {
    out: 'string',
    serve: 'integer',
    preset: 'string',
    layers: 'integer',
    dim: 'integer',
    ffn: 'integer',
    heads: 'integer',
    'kv-heads': 'integer',
    'head-dim': 'integer',
    experts: 'integer',
    used: 'integer',
    vocab: 'integer',
    context: 'integer',
    pre: 'string',
    'no-space-prefix': 'boolean',
    'user-defined': 'string',
    type: 'string',
    'attention-type': 'string',
    'down-type': 'string',
    'embedding-type': 'string',
    'output-type': 'string',
    'router-type': 'string',
    layout: 'string',
    split: 'integer',
    seed: 'integer',
    'residual-scale': 'number',
    'f32-twin': 'boolean',
    chat: 'boolean',
    json: 'boolean',
  },
} as const satisfies Record<string, Record<string, Kind | `${Kind}!`>>;

export type Command = keyof typeof COMMANDS;
type Value<K> = K extends `string${string}`
  ? string
  : K extends `boolean${string}`
    ? boolean
    : K extends 'compute'
      ? NonNullable<LoadRequest['compute']>
      : number;
type Parsed<Spec> = {
  -readonly [Name in keyof Spec as Spec[Name] extends `${string}!` ? Name : never]: Value<Spec[Name]>;
} & { -readonly [Name in keyof Spec as Spec[Name] extends `${string}!` ? never : Name]?: Value<Spec[Name]> };
export type Options<C extends Command> = Parsed<(typeof COMMANDS)[C]>;
/** The options that all commands with a model share. */
export type LoadOptions = Parsed<typeof LOAD>;

export const USAGE = `usage: npm run -s mixtab -- COMMAND
  generate --model FILE|URL|builtin --prompt TEXT --max-tokens N [--chat] [--temperature T] [--top-k N] [--top-p P]
           [--min-p P] [--repetition-penalty R] [--seed S] [--ignore-eos] [--top-logprobs N] [--json-schema FILE]
           [ROUTING] [LOAD] [--json]
  perplexity --model FILE|URL|builtin --text-file FILE [--trace-out FILE] [ROUTING] [LOAD] [--json]
  bench    --model FILE|URL|builtin --text-file FILE [LOAD] [--json]      compares expert cache policies on a text
  tokenize --model FILE|URL|builtin --text-file FILE [--json]
  inspect  --model FILE|URL|builtin [--gpu-rate MB/S] [--store-rate MB/S] [LOAD] [--json]
  synth    --out FILE | --serve PORT [--preset tiny|8x7b|8x22b] [--layers N] [--dim N] [--ffn N] [--heads N] [--kv-heads N]
           [--head-dim N] [--experts N] [--used N] [--vocab N] [--pre NAME] [--no-space-prefix] [--user-defined A,B]
           [--context N] [--type T] [--attention-type T]
           [--down-type T] [--embedding-type T] [--output-type T] [--router-type T] [--layout merged|per-expert|fused]
           [--split PARTS] [--seed S] [--residual-scale R] [--f32-twin] [--chat] [--json]
LOAD: [--compute auto|gpu|cpu] [--threads N] [--context N] [--gpu-budget MB] [--ram-budget MB]
  --compute     what computes; default: auto, a real GPU if there is one, else the CPU
  --threads     CPU only: how many threads; default: one per core, or fewer for a small model
  --ram-budget  on the CPU, the memory of the whole model; on the GPU, main memory for evicted experts
ROUTING: [--resident-bias B] [--skip-below W] [--experts-used N] [--choices-skipped N] [--random-experts SEED]
         [--router-noise AMOUNT] [--noise-seed SEED] [--ban-experts LIST] [--replace-experts LIST]
  --resident-bias, --skip-below      fewer reads of experts, for generated tokens only
  --experts-used, --choices-skipped  of a token's experts, only the first N; without the first N
  --random-experts                   experts drawn at random instead of the router's
  --router-noise                     noise with this standard deviation, added to the router's scores
  --ban-experts                      3: expert 3 of every layer; 1.3: expert 3 of layer 1; 3,1.5: both
  --replace-experts                  0=1,1=0: experts 0 and 1 swapped; *=3: expert 3 in place of all; 1.0=3: in layer 1`;

const bad = (message: string): MixtabError => new MixtabError('bad-request', message, 'See npm run -s mixtab -- help.');

/** @throws MixtabError `bad-request` for an unknown command */
export function commandOf(argv: readonly string[]): Command {
  const [command] = argv;
  if (command !== undefined && command in COMMANDS) return command as Command;
  throw bad(command === undefined ? 'No command given.' : `There is no command ${command.slice(0, 100)}.`);
}

/**
 * @param argv arguments after the command
 * @throws MixtabError `bad-request` naming the option
 */
export function parseOptions<C extends Command>(command: C, argv: readonly string[]): Options<C> {
  const spec: Record<string, string> = COMMANDS[command];
  const options = Object.fromEntries(
    Object.entries(spec).map(([name, kind]) => [
      name,
      { type: kind.startsWith('boolean') ? 'boolean' : 'string' } as const,
    ]),
  );
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({ args: withJoinedValues(argv, spec), options, allowPositionals: false })
      .values as typeof values;
  } catch (error) {
    throw bad((error as Error).message.split('\n')[0]);
  }
  const result: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(spec)) {
    const value = values[name];
    if (value === undefined) {
      if (kind.endsWith('!')) throw bad(`${command} needs --${name}.`);
      continue;
    }
    result[name] = typeof value === 'string' ? toValue(name, kind, value) : value;
  }
  return result as Options<C>;
}

/** Joins options and values with `=`, because parseArgs would take the `-x` in `--prompt -x` for another option. */
function withJoinedValues(argv: readonly string[], spec: Record<string, string>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const kind = argv[i].startsWith('--') ? spec[argv[i].slice(2)] : undefined;
    if (kind !== undefined && !kind.startsWith('boolean') && i + 1 < argv.length)
      joined.push(`${argv[i]}=${argv[++i]}`);
    else joined.push(argv[i]);
  }
  return joined;
}

const COMPUTE: readonly string[] = ['auto', 'gpu', 'cpu'] satisfies LoadRequest['compute'][];

function toValue(name: string, kind: string, text: string): string | number {
  if (kind.startsWith('integer') || kind.startsWith('number')) return toNumber(name, kind, text);
  if (kind === 'compute' && !COMPUTE.includes(text))
    throw bad(`--${name} ${text.slice(0, 100)} is not one of ${COMPUTE.join(', ')}.`);
  return text;
}

function toNumber(name: string, kind: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw bad(`--${name} ${text} is not a number.`);
  if (kind.startsWith('integer') && !Number.isInteger(value)) throw bad(`--${name} ${text} is not a whole number.`);
  if (value < 0) throw bad(`--${name} ${text} is negative.`);
  if (value === 0 && name === 'threads') throw bad(`--${name} must be at least 1.`);
  return value;
}
