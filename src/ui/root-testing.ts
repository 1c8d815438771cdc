/** An element of the document that tests of components render into. */
import { render } from 'preact';
import { afterEach, beforeEach } from 'vitest';

/**
 * Gives each test of a file an element of its own, and removes what was rendered into it afterwards.
 * @param use gets the element before each test
 */
export function rootPerTest(use: (root: HTMLElement) => void): void {
  let root: HTMLElement;
  beforeEach(() => {
    root = document.createElement('div');
    document.body.append(root);
    use(root);
  });
  afterEach(() => {
    render(null, root);
    root.remove();
  });
}
