import type { ChatFormat } from '../../contract/engine-api.ts';
import { formatBytes } from '../../contract/format-bytes.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { formatCount } from '../../ui/format.ts';
import { services } from '../services/services.ts';
import { loaded } from '../state/models.ts';
import { chooseChatFormat, settings } from '../state/settings.ts';
import { deviceFigures } from './device-figures.ts';
import { expectSpeed } from './expected-speed.ts';
import { fitText } from './fit-text.ts';

/** What a stored model consists of and how fast it can be on this device, folded until opened. */
export function ModelDetails({ model: { id, config, figures, hasChatTemplate } }: { model: ModelSummary }) {
  const device = deviceFigures();
  return (
    <details class="hint">
      <summary>Details</summary>
      <p>This model {fitText(device, expectSpeed(figures, config, device, settings.value.context))}.</p>
      <p>
        {config.layerCount} layers · context {config.contextLength} · vocabulary {config.vocabularySize} ·{' '}
        {figures.bitsPerWeight.toFixed(1)} bits per weight · {formatBytes(figures.bytesPerToken)} read per token ·{' '}
        {formatBytes(figures.expertBytes)} per expert
      </p>
      <ChatFormatChoice modelId={id} hasChatTemplate={hasChatTemplate} />
      <table>
        <tbody>
          {figures.parts.map(({ part, parameters, bytes, types }) => (
            <tr key={part}>
              <th scope="row">{part}</th>
              <td>{formatCount(parameters)}</td>
              <td>{formatBytes(bytes)}</td>
              <td>{Object.keys(types).join(', ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

const FORMAT_NAMES: Record<ChatFormat, string> = { mistral: 'Mistral', chatml: 'ChatML', alpaca: 'Alpaca' };

/** Lets the user choose how conversations are written for the model, if its file does not say it. */
function ChatFormatChoice({ modelId, hasChatTemplate }: { modelId: string; hasChatTemplate: boolean }) {
  return (
    <label>
      Chat format{' '}
      <select
        value={settings.value.chatFormats[modelId] ?? ''}
        onChange={({ currentTarget }) => {
          chooseChatFormat(modelId, (currentTarget.value || undefined) as ChatFormat | undefined);
          if (loaded.value?.summary.id === modelId) void services.modelLoader.reload();
        }}
      >
        <option value="">{hasChatTemplate ? 'From the file' : 'None: continue text'}</option>
        {Object.entries(FORMAT_NAMES).map(([format, name]) => (
          <option key={format} value={format}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
