import { useEffect, useState } from 'preact/hooks';
import { Composer } from '../chat/Composer.tsx';
import { Conversation } from '../chat/Conversation.tsx';
import { entries } from '../chat/conversation.ts';
import { importFiles, Library } from '../library/Library.tsx';
import { SettingsDialog } from '../settings/SettingsDialog.tsx';
import { newConversation } from './controller.ts';
import { Notices } from './Notices.tsx';
import { isChat, loaded, loading } from './state.ts';

export function App() {
  const [open, setOpen] = useState<'library' | 'settings' | undefined>();
  const dropping = useDrop();
  const close = (): void => setOpen(undefined);
  const modelName = loaded.value?.summary.name ?? loading.value?.name ?? 'Choose a model';
  return (
    <div class={dropping ? 'app dropping' : 'app'}>
      <header class="bar">
        <span class="brand" aria-hidden="true">
          mixtab
        </span>
        <button type="button" class="model-button" aria-haspopup="dialog" onClick={() => setOpen('library')}>
          <span>{modelName}</span>
          {loaded.value && <small>{isChat.value ? 'chat' : 'text completer'}</small>}
        </button>
        <span class="spring" />
        {entries.value.length > 0 && (
          <button type="button" class="quiet" onClick={() => void newConversation()}>
            New
          </button>
        )}
        <button type="button" class="quiet" aria-haspopup="dialog" onClick={() => setOpen('settings')}>
          Settings
        </button>
      </header>
      <Conversation />
      <div class="foot">
        <Notices />
        <Composer />
      </div>
      {open === 'library' && <Library onClose={close} />}
      {open === 'settings' && <SettingsDialog onClose={close} />}
      {dropping && <div class="drop">Drop the GGUF to import it</div>}
    </div>
  );
}

/** True while a file is dragged over the page; a dropped one is imported. */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
    const onOver = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      importFiles([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener('dragover', onOver);
    addEventListener('dragleave', onLeave);
    addEventListener('drop', onDrop);
    return () => {
      removeEventListener('dragover', onOver);
      removeEventListener('dragleave', onLeave);
      removeEventListener('drop', onDrop);
    };
  }, []);
  return over;
}
