import { useRef } from 'preact/hooks';
import { Icon, type IconName } from './icons.tsx';

export interface MenuItem {
  label: string;
  icon: IconName;
  run: () => void;
  danger?: boolean;
}

/** A button that opens a list of actions. Arrow keys move, Escape and a click elsewhere close (the popover does that). */
export function Menu({ label, items, icon = 'more' }: { label: string; items: MenuItem[]; icon?: IconName }) {
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const open = (): void => {
    const [popover, from] = [list.current, button.current?.getBoundingClientRect()];
    if (!popover || !from) return;
    popover.showPopover();
    const { offsetWidth: width, offsetHeight: height } = popover;
    popover.style.left = `${Math.max(8, Math.min(from.right - width, innerWidth - width - 8))}px`;
    popover.style.top = `${from.bottom + height + 8 > innerHeight ? Math.max(8, from.top - height - 4) : from.bottom + 4}px`;
    (popover.firstElementChild as HTMLElement | null)?.focus();
  };
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...(list.current?.children ?? [])] as HTMLElement[];
    if (step === undefined || all.length === 0) return;
    event.preventDefault();
    all[(all.indexOf(document.activeElement as HTMLElement) + step + all.length) % all.length].focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        class="icon-button more"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        onClick={open}
      >
        <Icon name={icon} />
      </button>
      <div ref={list} popover="auto" class="menu" role="menu" aria-label={label} tabIndex={-1} onKeyDown={move}>
        {items.map((item) => (
          <button
            type="button"
            key={item.label}
            role="menuitem"
            class={item.danger ? 'bad' : ''}
            onClick={() => {
              list.current?.hidePopover();
              item.run();
            }}
          >
            <Icon name={item.icon} />
            {item.label}
          </button>
        ))}
      </div>
    </>
  );
}
