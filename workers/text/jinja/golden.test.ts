import { describe, expect, it } from 'vitest';
import goldens from '../golden/templates.json';
import { Budget } from './budget.ts';
import { parseTemplate, render } from './render.ts';
import { Text } from './text.ts';
import { Dict, List } from './values.ts';

const tried = (work: () => string): string | null => {
  try {
    return work();
  } catch {
    return null;
  }
};

describe("against Python's Jinja", () => {
  it.each(goldens.snippets)('$template', ({ template, rendered }) => {
    expect(tried(() => render(parseTemplate(template), {}, new Budget()).plain)).toBe(rendered);
  });

  it.each(goldens.conversations)('$template with $messages', ({ template, messages, rendered }) => {
    const source = (goldens.templates as Record<string, string>)[template];
    const variables = {
      messages: new List(
        messages.map(({ role, content }) => Dict.of({ role: new Text(role), content: new Text(content) })),
      ),
      bos_token: new Text('<s>'),
      eos_token: new Text('</s>'),
      add_generation_prompt: true,
    };
    expect(tried(() => render(parseTemplate(source), variables, new Budget()).plain)).toBe(rendered);
  });
});
