/** Chat formats that a user may choose by hand, for a model whose file has no chat template, or a wrong one. */
import type { ChatFormat } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';

/** The templates. A system message that a format does not have is put before the first message of the user. */
const TEMPLATES: Record<ChatFormat, string> = {
  mistral:
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}" +
    "{{ raise_exception('The messages must be of the user and the assistant in turn.') }}{% endif %}" +
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}" +
    '{% endfor %}',
  chatml:
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
    "{{ '<|im_start|>assistant\\n' }}",
  alpaca:
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\\n\\n' }}" +
    "{% elif m.role == 'user' %}{{ '### Instruction:\\n' + m.content + '\\n\\n' }}" +
    "{% else %}{{ '### Response:\\n' + m.content + eos_token + '\\n\\n' }}{% endif %}{% endfor %}" +
    "{{ '### Response:\\n' }}",
};

/** The template of a format. @throws MixtabError `bad-request` if there is no such format */
export function templateOf(format: ChatFormat): string {
  if (Object.hasOwn(TEMPLATES, format)) return TEMPLATES[format];
  throw new MixtabError(
    'bad-request',
    `There is no chat format ${String(format).slice(0, 100)}.`,
    `Use ${Object.keys(TEMPLATES).join(', ')}.`,
  );
}
