/**
 * `npm run docs:client`: writes docs/client-reference.md, the reference of the client library, from the types and
 * comments in src/client/. A test fails if the committed page differs from what this script writes.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Application, Converter, ReflectionKind } from 'typedoc';
import { programOf, ROOT } from './dependencies.mjs';

export const REFERENCE = join(ROOT, 'docs', 'client-reference.md');

const HEADER = `<!-- Written by \`npm run docs:client\` from src/client/. Edit the comments there. -->

# Client reference

[Client library and embedding](client.md) explains the design. This page lists every public function and type.
`;

/** Options of TypeDoc and of its Markdown plugin, for one page without navigation. */
const OPTIONS = {
  plugin: ['typedoc-plugin-markdown'],
  entryPoints: [join(ROOT, 'src', 'client', 'mixtab.ts')],
  tsconfig: join(ROOT, 'tsconfig.json'),
  // `npm run check` reports type errors.
  skipErrorChecking: true,
  readme: 'none',
  disableSources: true,
  excludeExternals: true,
  sort: ['source-order'],
  groupOrder: ['Functions', 'Interfaces', 'Type Aliases', 'Classes'],
  logLevel: 'Warn',
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  router: 'module',
  entryFileName: 'reference',
  hidePageHeader: true,
  hidePageTitle: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  expandParameters: false,
  interfacePropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  parametersFormat: 'table',
};

/** @returns {Promise<string>} the reference as Markdown */
export async function createReference() {
  const folder = mkdtempSync(join(tmpdir(), 'mixtab-reference-'));
  try {
    const app = await Application.bootstrapWithPlugins({ ...OPTIONS, out: folder });
    app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => removeInherited(project));
    const project = await app.convert();
    if (project) await app.generateOutputs(project);
    if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) {
      throw new Error('TypeDoc could not describe src/client/. It gives the reason above.');
    }
    return toPage(readFileSync(join(folder, 'reference.md'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Removes members that the page describes at the type they are inherited from. */
function removeInherited(project) {
  for (const member of project.getReflectionsByKind(ReflectionKind.Property)) {
    if (member.inheritedFrom?.reflection) project.removeReflection(member);
  }
}

/** Adds the header, and formats the page as `npm run format` does, so that `npm run check` accepts it. */
function toPage(markdown) {
  const { status, stdout } = spawnSync(
    process.execPath,
    [programOf('@biomejs/biome', 'biome'), 'format', `--stdin-file-path=${REFERENCE}`],
    {
      cwd: ROOT,
      input: `${HEADER}\n${markdown.replaceAll(/[ \t]+$/gm, '')}`,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 2],
    },
  );
  if (status !== 0) throw new Error('biome could not format the client reference. It gives the reason above.');
  return stdout;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(REFERENCE, await createReference());
