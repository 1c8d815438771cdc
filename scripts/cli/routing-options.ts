/** The options that change how experts are selected, as the command line takes them. */
import type { AblationOptions, LossyOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { parseBanned, parseReplaced } from '../../src/page/state/expert-lists.ts';
import type { Options } from './options.ts';

type RoutingOptions = Options<'generate'> | Options<'perplexity'>;

/**
 * The routing options of a command as those of a request; empty if none is given.
 * @throws MixtabError `bad-request` for a list of experts that cannot be read, and for a seed without noise, naming the
 *   option
 */
export function routingOptions(options: RoutingOptions): { lossy?: LossyOptions; ablation?: AblationOptions } {
  const { 'resident-bias': residentBias, 'skip-below': skipBelow } = options;
  const lossy = {
    ...(residentBias !== undefined && { residentBias }),
    ...(skipBelow !== undefined && { skipBelow }),
  };
  const ablation = ablationOptions(options);
  return {
    ...(Object.keys(lossy).length > 0 && { lossy }),
    ...(Object.keys(ablation).length > 0 && { ablation }),
  };
}

/** The seed of the noise if none is given; the page's laboratory has the same. */
const NOISE_SEED = 1;

function ablationOptions(options: RoutingOptions): AblationOptions {
  const { 'experts-used': expertsUsed, 'choices-skipped': choicesSkipped, 'random-experts': randomSeed } = options;
  const { 'router-noise': amount, 'noise-seed': seed } = options;
  const { 'ban-experts': bans, 'replace-experts': replacements } = options;
  if (seed !== undefined && amount === undefined) {
    throw new MixtabError(
      'bad-request',
      '--noise-seed has no effect without --router-noise.',
      'Add --router-noise AMOUNT, or leave --noise-seed out.',
    );
  }
  return {
    ...(expertsUsed !== undefined && { expertsUsed }),
    ...(choicesSkipped !== undefined && { choicesSkipped }),
    ...(randomSeed !== undefined && { randomSeed }),
    ...(amount !== undefined && { noise: { amount, seed: seed ?? NOISE_SEED } }),
    ...(bans !== undefined && { banned: parsed('ban-experts', bans, parseBanned, '3 or 1.3,5') }),
    ...(replacements !== undefined && {
      replaced: parsed('replace-experts', replacements, parseReplaced, '0=1,1=0 or *=3'),
    }),
  };
}

/** @throws MixtabError `bad-request` */
function parsed<T>(name: string, text: string, parse: (text: string) => T | undefined, example: string): T {
  const list = parse(text);
  if (list !== undefined) return list;
  throw new MixtabError(
    'bad-request',
    `--${name} ${text.slice(0, 100)} is no list of experts.`,
    `Write for example ${example}; see npm run -s mixtab -- help.`,
  );
}
