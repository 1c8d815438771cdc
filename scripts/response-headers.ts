/**
 * The walls around the page: headers that every server of this project sends, and the Content-Security-Policy of each
 * page. Static hosts send no headers of ours, so the build also writes the policy into the pages.
 */
import { createHash } from 'node:crypto';

/** A Content-Security-Policy: sources by directive. */
type Policy = Record<string, string[]>;

const SELF = "'self'";
const NONE = "'none'";

/** Nothing is allowed that a page does not name. */
const CLOSED: Policy = {
  'default-src': [NONE],
  'base-uri': [NONE],
  'form-action': [NONE],
  'object-src': [NONE],
};

/** A page whose workers fetch models. The page itself fetches nothing from other sites, unless it lists them. */
const APP: Policy = {
  ...CLOSED,
  'script-src': [SELF, "'wasm-unsafe-eval'"],
  'worker-src': [SELF],
  'style-src': [SELF],
  'img-src': [SELF],
  'manifest-src': [SELF],
  'connect-src': [SELF],
};

/** The policies of the pages, by the beginning of their paths in the build. */
const PAGES: readonly (readonly [prefix: string, policy: Policy])[] = [
  // Lists the files of a repository.
  ['index.html', { ...APP, 'connect-src': [SELF, 'https://huggingface.co'] }],
  ['cli.html', APP],
  ['embed.html', APP],
  ['examples/', { ...CLOSED, 'script-src': [SELF], 'style-src': [], 'frame-src': [SELF, 'https:', 'http:'] }],
];

/** Workers have the policy of their own script. They import models from any address that the user enters. */
const WORKERS: Policy = {
  ...CLOSED,
  'script-src': [SELF, "'wasm-unsafe-eval'"],
  'worker-src': [SELF],
  'connect-src': [SELF, 'https:', 'http:'],
};

/** Files that pages of other sites may load: the page in the frame, and the library that creates the frame. */
const SHARED = ['embed.html', 'mixtab-client.js'];

/** @param path of a file in the build, without a leading slash; a folder stands for its index.html */
const normalized = (path: string): string => (path === '' || path.endsWith('/') ? `${path}index.html` : path);

/**
 * The Content-Security-Policy of a page.
 * @param path of the page in the build, for example `embed.html`
 * @param html text of the page: its own inline scripts and styles are allowed by their hashes
 * @returns undefined if the path is none of our pages
 */
export function pagePolicy(path: string, html: string): Policy | undefined {
  const policy = PAGES.find(([prefix]) => normalized(path).startsWith(prefix))?.[1];
  if (!policy) return undefined;
  return {
    ...policy,
    'script-src': [...policy['script-src'], ...inlineHashes(html, 'script')],
    'style-src': [...policy['style-src'], ...inlineHashes(html, 'style')],
  };
}

/** @returns sources for the texts of all inline elements with this name */
function inlineHashes(html: string, element: 'script' | 'style'): string[] {
  const texts = html.matchAll(new RegExp(`<${element}(?![^>]*\\ssrc=)[^>]*>([^]*?)</${element}>`, 'g'));
  return [...texts].map(([, text]) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
}

const policyText = (policy: Policy): string =>
  Object.entries(policy)
    .map(([directive, sources]) => `${directive} ${sources.length > 0 ? sources.join(' ') : NONE}`)
    .join('; ');

/** Adds what Vite's development server needs: it inserts styles as elements, and reloads over a socket. */
const forDevelopment = (policy: Policy): Policy => ({
  ...policy,
  'script-src': [...policy['script-src'], "'unsafe-inline'"],
  'style-src': [SELF, "'unsafe-inline'"],
  'img-src': [SELF, 'data:'],
  'connect-src': [...(policy['connect-src'] ?? [SELF]), 'ws:'],
});

/** What is served. */
export interface ServedFile {
  /** Path in the build, without a leading slash. */
  path: string;
  /** Text of the page, if it is one. */
  html?: string;
  /** Whether Vite serves the sources. */
  development?: boolean;
  /** Address to which browsers post violations of the policy; tests use it. Default: none. */
  reportUri?: string;
}

/**
 * The headers of a response.
 *
 * Page and workers are isolated from other sites (`crossOriginIsolated`), so they may share memory. Pages of other
 * sites can frame `embed.html`, whether they are isolated or not. No other page can be framed.
 */
export function responseHeaders({ path, html, development, reportUri }: ServedFile): Record<string, string> {
  const policy = html === undefined ? WORKERS : pagePolicy(path, development ? '' : html);
  const isShared = SHARED.includes(path);
  // These two have no effect in a page's own text.
  const onlyInHeaders: Policy = {
    ...(html !== undefined && !isShared && { 'frame-ancestors': [SELF] }),
    ...(reportUri !== undefined && { 'report-uri': [reportUri] }),
  };
  return {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': isShared ? 'cross-origin' : 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'referrer-policy': 'no-referrer',
    ...(path === 'mixtab-client.js' && { 'access-control-allow-origin': '*' }),
    ...(policy && {
      'content-security-policy': policyText({ ...(development ? forDevelopment(policy) : policy), ...onlyInHeaders }),
    }),
  };
}

/**
 * Writes a page's policy into it, for hosts that send no headers.
 * @param path of the page in the build
 * @throws Error if the path is none of our pages
 */
export function withMetaPolicy(path: string, html: string): string {
  const policy = pagePolicy(path, html);
  if (!policy) throw new Error(`${path} has no Content-Security-Policy: add it to PAGES.`);
  const elements = [
    `<meta http-equiv="Content-Security-Policy" content="${policyText(policy)}">`,
    '<meta http-equiv="x-dns-prefetch-control" content="off">',
    '<meta name="referrer" content="no-referrer">',
  ];
  // The policy applies only to what follows it. The encoding must be within the first kilobyte, so it stays first.
  return html.replace(/<meta charset="utf-8">/, (charset) => [charset, ...elements].join('\n    '));
}
