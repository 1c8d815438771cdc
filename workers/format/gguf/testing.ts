/** Files and errors for the tests of this folder. */
import { MixtabError } from '../../../src/contract/errors.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { createSynth, type SynthOptions } from '../../synth/synth.ts';
import { type GgufHeader, type ReadableFile, readHeader } from './header.ts';

/** The smallest synthetic model. */
export const TINY: SynthOptions = SYNTH_PRESETS.tiny;

/** Bytes as a file. */
export const fileOf = (bytes: Uint8Array<ArrayBuffer>): ReadableFile => ({
  name: 'test.gguf',
  size: bytes.byteLength,
  read: async (offset, length) => bytes.slice(offset, offset + length),
});

/** A synthetic model as a file. */
export const synthFile = (options: SynthOptions): ReadableFile => {
  const synth = createSynth(options);
  return { name: 'test.gguf', size: synth.size, read: async (offset, length) => synth.read(offset, length) };
};

/** The header of a synthetic model. */
export const headerOf = (options: SynthOptions): Promise<GgufHeader> => readHeader(synthFile(options));

/** The error's code, or "no error", or an error that is not a MixtabError. */
export const codeOf = async (work: Promise<unknown> | (() => unknown)): Promise<string> => {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'no error';
  } catch (error) {
    return error instanceof MixtabError ? error.code : `${error}`;
  }
};
