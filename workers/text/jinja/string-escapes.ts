/** Escapes in a template's texts in quotes that Python knows and the parser of @huggingface/jinja refuses. */

/** The escapes that the parser knows. */
const KNOWN = /[ntrbfv'"\\xu]/;
/** What ends a tag of each kind. */
const ENDS: Record<string, string> = { '{{': '}}', '{%': '%}', '{#': '#}' };

/**
 * Rewrites escapes in quotes: a backslash before the end of a line joins both lines, and one before any other character
 * without a meaning stands for itself. Takes linear time.
 */
export function rewriteEscapes(source: string): string {
  if (!source.includes('\\')) return source;
  const parts: string[] = [];
  /** The end of the tag or text in quotes that is being read; undefined outside of tags. */
  let tagEnd: string | undefined;
  let quote = '';
  let kept = 0;
  for (let i = 0; i < source.length; i++) {
    const pair = source.slice(i, i + 2);
    if (tagEnd === undefined) tagEnd = ENDS[pair];
    else if (tagEnd === '#}' || quote === '') {
      if (pair === tagEnd) tagEnd = undefined;
      else if (tagEnd !== '#}' && (source[i] === "'" || source[i] === '"')) quote = source[i];
    } else if (source[i] === quote) quote = '';
    else if (source[i] === '\\') {
      if (pair === '\\\n') {
        parts.push(source.slice(kept, i));
        kept = i + 2;
      } else if (pair.length === 2 && !KNOWN.test(pair[1])) {
        parts.push(source.slice(kept, i), '\\');
        kept = i;
      }
      i++;
    }
  }
  return parts.join('') + source.slice(kept);
}
