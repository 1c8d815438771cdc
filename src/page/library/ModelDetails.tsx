import { formatBytes } from '../../contract/format-bytes.ts';
import type { ModelSummary } from '../../contract/import-api.ts';
import { formatCount } from '../../ui/format.ts';
import { settings } from '../state/settings.ts';
import { deviceFigures } from './device-figures.ts';
import { expectSpeed } from './expected-speed.ts';
import { fitText } from './fit-text.ts';

/** What a stored model consists of and how fast it can be on this device, folded until opened. */
export function ModelDetails({ model: { config, figures } }: { model: ModelSummary }) {
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
