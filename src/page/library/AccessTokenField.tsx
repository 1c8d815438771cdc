import { changeToken, remembered, token, tokenWanted } from '../state/access-token.ts';

/** For repositories that want to know who reads them. */
export function TokenField() {
  return (
    <details
      class="token"
      open={tokenWanted.value}
      onToggle={(event) => {
        tokenWanted.value = event.currentTarget.open;
      }}
    >
      <summary>Access token for Hugging Face{token.value && ' (entered)'}</summary>
      <p id="token-help" class="hint">
        For gated and private repositories: accept the licence on the repository's page, make a token under{' '}
        <a href="https://huggingface.co/settings/tokens" target="_blank" rel="noopener noreferrer">
          settings/tokens
        </a>{' '}
        (reading is enough) and paste it here. It is sent to huggingface.co and nowhere else, and forgotten with this
        tab.
      </p>
      <div class="row">
        <input
          type="password"
          aria-label="Access token for Hugging Face"
          aria-describedby="token-help"
          placeholder="hf_…"
          autocomplete="off"
          spellcheck={false}
          value={token.value}
          onInput={(event) => changeToken(event.currentTarget.value, remembered.value)}
        />
        <label class="row">
          <input
            type="checkbox"
            checked={remembered.value}
            onChange={(event) => changeToken(token.value, event.currentTarget.checked)}
          />
          Remember on this device
        </label>
      </div>
    </details>
  );
}
