/**
 * Popular Mixtral files, as their repositories on Hugging Face list them. Sizes and licences are from November 2026.
 * The notes on quality are about the quantization, judged by its bits per weight.
 */
import { type DeviceFigures, type ExpectedSpeed, expectSpeed, type SpeedShape } from './expected-speed.ts';

/** One quantization of a model, as one file. */
export interface KnownFile {
  /** Quantization, as in the file's name. */
  mix: string;
  file: string;
  bytes: number;
  quality: string;
  /** Quality from 1 (poor) to 5 (like the original). */
  stars: 1 | 2 | 3 | 4 | 5;
}

/** A model with the files that its repository offers. */
export interface KnownModel {
  name: string;
  about: string;
  /** Repository on Hugging Face, `owner/name`. */
  repo: string;
  license: string;
  parameters: number;
  /** Parameters of one expert in one layer. */
  expertParameters: number;
  shape: SpeedShape;
  files: KnownFile[];
}

const MIXTRAL_8X7B = {
  license: 'Apache-2.0',
  parameters: 46.7e9,
  expertParameters: 3 * 4096 * 14336,
  shape: {
    layerCount: 32,
    kvHeadCount: 8,
    headDim: 128,
    embeddingLength: 4096,
    expertCount: 8,
    expertsPerToken: 2,
    contextLength: 32768,
  },
};
const MIXTRAL_8X22B = {
  license: 'Apache-2.0',
  parameters: 140.6e9,
  expertParameters: 3 * 6144 * 16384,
  shape: {
    layerCount: 56,
    kvHeadCount: 8,
    headDim: 128,
    embeddingLength: 6144,
    expertCount: 8,
    expertsPerToken: 2,
    contextLength: 65536,
  },
};

const GB = 1e9;

/** The list of popular models on the models page. */
export const KNOWN_MODELS: KnownModel[] = [
  {
    name: 'Mixtral 8x7B Instruct v0.1',
    about: 'Answers questions, follows instructions and writes code. English, French, Italian, German and Spanish.',
    repo: 'mradermacher/Mixtral-8x7B-Instruct-v0.1-i1-GGUF',
    ...MIXTRAL_8X7B,
    files: [
      {
        mix: 'IQ2_XS',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-IQ2_XS.gguf',
        bytes: 13.8 * GB,
        quality: 'Small and fast to stream. Noticeable quality loss.',
        stars: 2,
      },
      {
        mix: 'Q2_K',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-Q2_K.gguf',
        bytes: 17.5 * GB,
        quality: 'Two to three bits. Noticeable quality loss.',
        stars: 2,
      },
      {
        mix: 'IQ3_XXS',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-IQ3_XXS.gguf',
        bytes: 18.5 * GB,
        quality: 'Good for its size.',
        stars: 3,
      },
      {
        mix: 'Q3_K_M',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-Q3_K_M.gguf',
        bytes: 22.7 * GB,
        quality: 'Some quality loss.',
        stars: 3,
      },
      {
        mix: 'Q4_K_M',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-Q4_K_M.gguf',
        bytes: 28.6 * GB,
        quality: 'The usual choice. Little quality loss.',
        stars: 4,
      },
      {
        mix: 'Q5_K_M',
        file: 'Mixtral-8x7B-Instruct-v0.1.i1-Q5_K_M.gguf',
        bytes: 33.4 * GB,
        quality: 'Very little quality loss.',
        stars: 5,
      },
    ],
  },
  {
    name: 'Mixtral 8x7B Instruct v0.1, older files',
    about: 'The same model as it was first published in December 2023, with one tensor per expert.',
    repo: 'TheBloke/Mixtral-8x7B-Instruct-v0.1-GGUF',
    ...MIXTRAL_8X7B,
    files: [
      {
        mix: 'Q2_K',
        file: 'mixtral-8x7b-instruct-v0.1.Q2_K.gguf',
        bytes: 15.64 * GB,
        quality: 'The smallest file here. Noticeable quality loss.',
        stars: 2,
      },
      {
        mix: 'Q4_0',
        file: 'mixtral-8x7b-instruct-v0.1.Q4_0.gguf',
        bytes: 26.44 * GB,
        quality: 'Plain four bits. Little quality loss.',
        stars: 4,
      },
      {
        mix: 'Q4_K_M',
        file: 'mixtral-8x7b-instruct-v0.1.Q4_K_M.gguf',
        bytes: 26.44 * GB,
        quality: 'Little quality loss.',
        stars: 4,
      },
      {
        mix: 'Q8_0',
        file: 'mixtral-8x7b-instruct-v0.1.Q8_0.gguf',
        bytes: 49.62 * GB,
        quality: 'As good as the original.',
        stars: 5,
      },
    ],
  },
  {
    name: 'Mixtral 8x7B v0.1',
    about: 'The base model: it continues text and does not answer questions.',
    repo: 'mradermacher/Mixtral-8x7B-v0.1-i1-GGUF',
    ...MIXTRAL_8X7B,
    files: [
      {
        mix: 'IQ2_XS',
        file: 'Mixtral-8x7B-v0.1.i1-IQ2_XS.gguf',
        bytes: 13.8 * GB,
        quality: 'Small and fast to stream. Noticeable quality loss.',
        stars: 2,
      },
      {
        mix: 'Q4_K_M',
        file: 'Mixtral-8x7B-v0.1.i1-Q4_K_M.gguf',
        bytes: 28.6 * GB,
        quality: 'Little quality loss.',
        stars: 4,
      },
    ],
  },
  {
    name: 'Dolphin 2.7 Mixtral 8x7B',
    about: 'Tuned for code and open conversation. Uses the ChatML template.',
    repo: 'TheBloke/dolphin-2.7-mixtral-8x7b-GGUF',
    ...MIXTRAL_8X7B,
    files: [
      {
        mix: 'Q4_K_M',
        file: 'dolphin-2.7-mixtral-8x7b.Q4_K_M.gguf',
        bytes: 26.44 * GB,
        quality: 'Little quality loss.',
        stars: 4,
      },
    ],
  },
  {
    name: 'Mixtral 8x22B Instruct v0.1',
    about: 'The large model: each token uses 39 of its 141 billion parameters.',
    repo: 'mradermacher/Mixtral-8x22B-Instruct-v0.1-i1-GGUF',
    ...MIXTRAL_8X22B,
    files: [
      {
        mix: 'IQ2_M',
        file: 'Mixtral-8x22B-Instruct-v0.1.i1-IQ2_M.gguf',
        bytes: 46.7 * GB,
        quality: 'The only quantization in a single file. Some quality loss.',
        stars: 3,
      },
    ],
  },
];

/** @returns the bits per weight of a file, averaged over all its weights */
export const bitsOf = ({ parameters }: KnownModel, { bytes }: KnownFile): number => (bytes * 8) / parameters;

/** @returns the address that a file is downloaded from */
export const urlOf = ({ repo }: KnownModel, { file }: KnownFile): string =>
  `https://huggingface.co/${repo}/resolve/main/${file}`;

/** Estimates the speed of a file before its header is read, assuming the same bits for all weights. */
export function expectSpeedOfFile(
  model: KnownModel,
  file: KnownFile,
  device: DeviceFigures,
  context?: number,
): ExpectedSpeed {
  const { parameters, expertParameters, shape } = model;
  const { bytes } = file;
  const expertBytes = (bytes * expertParameters) / parameters;
  const denseBytes = bytes - shape.layerCount * shape.expertCount * expertBytes;
  const bytesPerToken = denseBytes + shape.layerCount * shape.expertsPerToken * expertBytes;
  const bitsPerWeight = bitsOf(model, file);
  return expectSpeed({ denseBytes, expertBytes, bytesPerToken, bitsPerWeight }, shape, device, context);
}
