import { changeToken, remembered, token, tokenWanted } from '../state/access-token.ts';

/** The field for a Hugging Face access token, which gated and private repositories require. */
export function AccessTokenField() {
  return (
    <details
      class="token"
      open={tokenWanted.value}
      onToggle={(event) => {
        tokenWanted.value = event.currentTarget.open;
      }}
    >
      <summary>Hugging Face access token{token.value && ' (set)'}</summary>
      <p id="token-help" class="hint">
        Needed for gated and private repositories. Accept the licence on the repository's page, create a read token
        under{' '}
        <a href="https://huggingface.co/settings/tokens" target="_blank" rel="noopener noreferrer">
          settings/tokens
        </a>{' '}
        and paste it here. It is sent only to huggingface.co, and forgotten when you close this tab unless you choose to
        remember it.
      </p>
      <div class="row">
        <input
          type="password"
          aria-label="Hugging Face access token"
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
