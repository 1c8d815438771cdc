import { useRef } from 'preact/hooks';
import { Icon, type IconName } from './icons.tsx';

/** Pixels between the menu and the edges of the page, and between the menu and its button. */
const MARGIN = { page: 8, button: 4 };

/** One entry of a {@link Menu}. */
export interface MenuItem {
  label: string;
  icon: IconName;
  run: () => void;
  danger?: boolean;
}

/** A button that opens a menu. Arrow keys move in it. The popover closes on Escape and on a click outside by itself. */
export function Menu({ label, items, icon = 'more' }: { label: string; items: MenuItem[]; icon?: IconName }) {
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const open = (): void => {
    const popover = list.current;
    const anchor = button.current?.getBoundingClientRect();
    if (!popover || !anchor) return;
    popover.showPopover();
    placeBeside(popover, anchor);
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

/** Puts a popover below its button, or above it if there is no room below, and keeps it on the page. */
function placeBeside(popover: HTMLElement, anchor: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = popover;
  const left = Math.max(MARGIN.page, Math.min(anchor.right - width, innerWidth - width - MARGIN.page));
  const fitsBelow = anchor.bottom + height + MARGIN.page <= innerHeight;
  const top = fitsBelow ? anchor.bottom + MARGIN.button : Math.max(MARGIN.page, anchor.top - height - MARGIN.button);
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}
