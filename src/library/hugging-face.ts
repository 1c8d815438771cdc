/** Repositories on Hugging Face: which GGUF files they have. */
import { MixtabError } from '../contract/errors.ts';

export interface RepoFile {
  path: string;
  bytes: number;
  url: string;
}

const HOST = 'https://huggingface.co';

/** `owner/name` as people write it, or the address of its page; undefined for anything else. */
export function repoFrom(text: string): string | undefined {
  const match = /^(?:https:\/\/huggingface\.co\/)?([\w.-]+\/[\w.-]+)(?:\/tree\/main)?\/?$/.exec(text.trim());
  return match && !match[1].endsWith('.gguf') && !/^\.+\//.test(match[1]) ? match[1] : undefined;
}

/**
 * @returns the repository's GGUF files, smallest first; a split one counts as one file, named by its first part
 * @throws MixtabError `source-unreachable`
 */
export async function listRepo(repo: string, fetchFile: typeof fetch = fetch): Promise<RepoFile[]> {
  let response: Response;
  try {
    response = await fetchFile(`${HOST}/api/models/${repo}/tree/main?recursive=true`);
  } catch {
    throw new MixtabError('source-unreachable', 'Hugging Face cannot be reached.', 'Check the network, or choose a file.');
  }
  if (!response.ok) {
    const gated = response.status === 401 || response.status === 403 || response.status === 404;
    throw new MixtabError(
      'source-unreachable',
      `Hugging Face answers ${response.status} for ${repo}.`,
      gated ? 'Check the name; repositories that want a login cannot be read from here.' : 'Try again later.',
    );
  }
  const items = (await response.json()) as unknown;
  return filesFrom(items, repo);
}

/** Checks what the server sent. */
export function filesFrom(items: unknown, repo: string): RepoFile[] {
  if (!Array.isArray(items)) return [];
  const sizes = new Map<string, number>();
  for (const item of items) {
    const { path, size } = (item ?? {}) as Record<string, unknown>;
    if (typeof path !== 'string' || typeof size !== 'number' || !path.endsWith('.gguf')) continue;
    const whole = path.replace(/-\d{5}-of-(\d{5}\.gguf)$/, '-00001-of-$1');
    sizes.set(whole, (sizes.get(whole) ?? 0) + size);
  }
  return [...sizes]
    .map(([path, bytes]) => ({ path, bytes, url: `${HOST}/${repo}/resolve/main/${path.split('/').map(encodeURIComponent).join('/')}` }))
    .sort((a, b) => a.bytes - b.bytes);
}
