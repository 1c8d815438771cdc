/**
 * The app in a frame of another site, which could lead clicks to its buttons. The header `frame-ancestors` prevents
 * that, but static hosts send no headers of ours.
 */

/** @returns whether a page of another origin shows this one in a frame */
export function isInForeignFrame(): boolean {
  for (let ancestor: Window = window; ancestor !== ancestor.parent; ) {
    ancestor = ancestor.parent;
    try {
      if (ancestor.origin !== origin) return true;
    } catch {
      return true; // another origin's window allows no look at it
    }
  }
  return false;
}

/** Shows a link to the app, in a tab of its own, in place of the app. */
export function showLinkToApp(root: HTMLElement): void {
  const link = Object.assign(document.createElement('a'), {
    href: './',
    target: '_blank',
    rel: 'noopener',
    textContent: 'Open mixtab',
  });
  root.replaceChildren(
    link,
    ' in a tab of its own: it does not run in frames of other sites, which can use embed.html.',
  );
}
