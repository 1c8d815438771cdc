import { choices, linkTo } from '../../state/route.ts';
import type { Reading } from '../../state/text-routing.ts';
import type { CopiedLink } from '../figure/CopyTools.tsx';

/** Longer texts make addresses that programs cut or refuse. */
const MAX_LINKED_TEXT = 2000;

/**
 * A link to what is shown of a reading, with its layer and token. It has the text too, unless that is long. Of a
 * conversation it has the id, which only the browser that stores the conversation can open.
 */
export function readingLink({ input, conversation }: Reading): CopiedLink {
  const { custom: _, source: __, conversation: ___, ...rest } = choices.value;
  if (conversation !== undefined)
    return {
      href: linkTo({ conversation, ...rest }),
      note: 'It works in this browser, which stores the conversation. The link does not contain it.',
    };
  const text = input.kind === 'text' ? input.text : '';
  if (text.length <= MAX_LINKED_TEXT) return { href: linkTo({ custom: text, ...rest }) };
  return { href: linkTo({ source: 'custom', ...rest }), note: 'The text is too long to be part of it.' };
}
