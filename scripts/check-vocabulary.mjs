/**
 * Checks that the words of docs/glossary.md are used: one word per thing, one thing per word. Each entry below is a
 * word that was replaced, with the word to use instead. Prints how many are left.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './dependencies.mjs';

/**
 * @typedef {object} Term
 * @property {RegExp} pattern what must not occur; with the flag `g`
 * @property {string} use what to write instead
 * @property {RegExp} [only] the paths that it concerns; default: all
 * @property {RegExp} [except] paths where the word means something else
 */

const CODE = /\.(ts|tsx|mjs|wgsl)$/;
const WORKERS = /^(workers|shaders)\//;

/** @type {Term[]} */
export const REPLACED = [
  { pattern: /\b\w*guess\w*/gi, use: 'prediction' },
  { pattern: /\b\w*forecast\w*/gi, use: 'expert likelihood' },
  { pattern: /\b\w*(readAhead|read ahead|reading ahead|placedAhead)\w*/gi, use: 'prefetch, prefetchHits' },
  { pattern: /\buntried\b/gi, use: 'unused prefetch' },
  { pattern: /\b\w*(TOKENS_AHEAD|aheadNormed)\w*/g, use: 'PIPELINE_DEPTH, prediction' },
  { pattern: /\bexperts\.(bring|use|ensure)\(|\b(brought|brings?)\b/gi, use: 'load, recordAccess, loadAll' },
  { pattern: /\b(take|takes|taken|taking|took) (it |them |\w+ )?back\b/gi, use: 'cancel' },
  { pattern: /\b(give|gives|given|giving|gave) (it |them |\w+ ){0,2}back\b|\bgiveBack\w*/gi, use: 'recycle, release' },
  {
    pattern: /\bRecordPlace\b|\bplaceOf\b|\bplaceAt\b|\bScrollPlace\b|\bPlacement\b/g,
    use: 'StorageBackend, position',
  },
  {
    pattern: /\bplace:/g,
    use: 'label, storage, layer',
    only: CODE,
    except: /^workers\/(store|import|format)\/|\.test\.ts$/,
  },
  {
    pattern: /\b(Rows|ChunkRows|PromptRows|TokenRows|RowParts)\b/g,
    use: 'Activations, PrefillBuffers, SplitMatrix',
    only: CODE,
  },
  { pattern: /\bpromptRows\w*/g, use: 'prefillBuffers' },
  { pattern: /\bHalt\b|\bhalt\b/g, use: 'Stall' },
  { pattern: /\bFlight\b|\b#flights\b/g, use: 'InFlightToken' },
  { pattern: /\bgoOn\b|\boneByOne\b|\bMANY\b/g, use: 'resume, decodeSerial, LAYERWISE_THRESHOLD' },
  { pattern: /\bchoices\b/g, use: 'selectedExperts', only: WORKERS, except: /llama-cpp\.ts$/ },
  {
    pattern: /\bselected\b/g,
    use: 'selectedExperts, selected_experts',
    only: /^shaders\/|^workers\/(model|compute|generate)\/.*\.ts$/,
  },
  { pattern: /\b(array|vec4|var|let|const) ?<?chosen\b|\bchosen\[/g, use: 'selectedExperts', only: WORKERS },
  {
    pattern: /\bWritingSettings\b|\b(current|change|new|default)Writing\b|\bwriting(In|Here)\b|\bwriting\.value\b/g,
    use: 'streaming, GenerationSettings',
  },
  { pattern: /\b(lent|lend|lends|lendable|lending|LentValues|whenLent)\b/gi, use: 'site store, shared store' },
  { pattern: /\b(is|are|be|been|was|were) told\b|\btold\b/gi, use: 'notified, reported' },
  {
    pattern: /\b(holder|standing|orStopped|fewAtOnce|PassingFailure)\b/g,
    use: 'owner, abortable, mapLimit, TransientError',
  },
  { pattern: /\bnudge\w*/gi, use: 'Firefox poll' },
  {
    pattern: /\.\/(token|room|parts|stick)(\.tsx?)?['"]/g,
    use: 'access-token, context-window, AnswerStats, stick-to-bottom',
    only: CODE,
  },
  { pattern: /<Record>|<Record extends/g, use: 'a one-letter type parameter', only: CODE },
  { pattern: /\b(go|goes|going|went|gone) on\b/gi, use: 'continue' },
  { pattern: /\b(lie|lies|lay) (in|on|at|behind|beneath|beside)\b/gi, use: 'is stored in, is in' },
];

/** Names of earlier versions that stored data still has, and the file that reads it. */
const STORED_NAMES = /^src\/page\/state\/(settings|conversation-transfer)(\.test)?\.ts$/;

/** Where the words are quoted, or history is written down. */
const EXEMPT =
  /^(scripts\/check-vocabulary(\.test)?\.(mjs|ts)|docs\/measurements\/|CHANGELOG\.md|package-lock\.json|training\/)/;
const TEXT = /\.(ts|tsx|mjs|wgsl|md|css|html|py|sh|yml)$/;

/**
 * @param {string} path from the root
 * @param {string} text the file's contents
 * @returns {string[]} one sentence per occurrence of a replaced word
 */
export function checkText(path, text) {
  if (!TEXT.test(path) || EXEMPT.test(path) || STORED_NAMES.test(path)) return [];
  const found = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const { pattern, use, only, except } of REPLACED) {
      if ((only && !only.test(path)) || except?.test(path)) continue;
      for (const [word] of line.matchAll(pattern)) found.push(`${path}:${index + 1}: "${word}"; write: ${use}`);
    }
  }
  return found;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const paths = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  const under = process.argv[2] ?? '';
  const files = paths.split('\n').filter((path) => path.startsWith(under) && TEXT.test(path));
  const found = files.flatMap((path) => {
    try {
      return checkText(path, readFileSync(join(ROOT, path), 'utf8'));
    } catch {
      return []; // removed from the tree, not yet from the index
    }
  });
  for (const sentence of found) console.error(sentence);
  console.log(`vocabulary: ${REPLACED.length} rules, ${files.length} files, ${found.length} replaced words left`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
