/** Lists the GGUF files of a Hugging Face repository. */
import { type AccessToken, authorization, gatedError, HUGGING_FACE } from '../../contract/access-token.ts';
import { MixtabError } from '../../contract/errors.ts';
import type { RepoFile } from '../state/imports.ts';

/** Parses `owner/name`, or the address of a repository's page. Anything else: undefined. */
export function repoFrom(text: string): string | undefined {
  const match = /^(?:https:\/\/huggingface\.co\/)?([\w.-]+\/[\w.-]+)(?:\/tree\/main)?\/?$/.exec(text.trim());
  return match && !match[1].endsWith('.gguf') && !/^\.+\//.test(match[1]) ? match[1] : undefined;
}

/**
 * @returns the repository's GGUF files, smallest first; a split file counts as one, named by its first part
 * @throws MixtabError `source-gated`, `source-unreachable`
 */
export async function listRepo(
  repo: string,
  access?: AccessToken,
  fetchFile: typeof fetch = fetch,
): Promise<RepoFile[]> {
  const url = `${HUGGING_FACE}/api/models/${repo}/tree/main?recursive=true`;
  const headers = authorization(url, access);
  let response: Response;
  try {
    response = await fetchFile(url, { headers });
  } catch {
    throw new MixtabError(
      'source-unreachable',
      'Hugging Face cannot be reached.',
      'Check the network, or choose a file.',
    );
  }
  if (!response.ok) {
    const { status } = response;
    if (status === 401 || status === 403) throw gatedError(repo, status, access, `${HUGGING_FACE}/${repo}`);
    throw new MixtabError(
      'source-unreachable',
      `Hugging Face answered with status ${status} for ${repo}.`,
      status === 404 ? 'Check the name.' : 'Try again later.',
    );
  }
  const items = (await response.json()) as unknown;
  return filesFrom(items, repo);
}

/** A GGUF file, or one part of a GGUF that was split because of its size. */
const FILE = /\.gguf(\.part\d{1,3}of\d{1,3}|-split-[a-z])?$/;

/** Validates the server's listing. @param items the parsed JSON  @returns the GGUF files in it, smallest first */
export function filesFrom(items: unknown, repo: string): RepoFile[] {
  if (!Array.isArray(items)) return [];
  const sizes = new Map<string, number>();
  for (const item of items) {
    const { path, size } = (item ?? {}) as Record<string, unknown>;
    if (typeof path !== 'string' || typeof size !== 'number' || !FILE.test(path)) continue;
    const firstPart = path
      .replace(/-\d{5}-of-(\d{5}\.gguf)$/, '-00001-of-$1')
      .replace(/\.part\d{1,3}of(\d{1,3})$/, '.part1of$1')
      .replace(/-split-[a-z]$/, '-split-a');
    sizes.set(firstPart, (sizes.get(firstPart) ?? 0) + size);
  }
  return [...sizes]
    .map(([path, bytes]) => ({
      path,
      bytes,
      url: `${HUGGING_FACE}/${repo}/resolve/main/${path.split('/').map(encodeURIComponent).join('/')}`,
    }))
    .sort((a, b) => a.bytes - b.bytes);
}
