/** One tab of a browser other than Chromium, as the journeys use it. `firefox.ts` and `webkit.ts` implement it. */
export interface Tab {
  /** Name and version of the browser, e.g. `Firefox 153.7.0`. */
  readonly browser: string;
  open(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Runs a function in the page and awaits its promise. The function cannot use variables from outside. */
  evaluate<A extends unknown[], R>(script: (...args: A) => R, ...args: A): Promise<Awaited<R>>;
  /** Runs the source of a script in the page. */
  runScript(source: string): Promise<void>;
  /** Finds an element with a function that runs in the page; undefined if the function finds none. */
  query<A extends unknown[]>(script: (...args: A) => Element | null, ...args: A): Promise<TabElement | undefined>;
  /** @returns a picture of the visible part of the page, as PNG */
  screenshot(): Promise<Uint8Array>;
  /** Closes the browser and ends all of its processes. */
  close(): Promise<void>;
}

/** An element of the page. Its methods act through the browser's input events, as a user does. */
export interface TabElement {
  click(): Promise<void>;
  /** Replaces the text of a field, then leaves the field if `leave` is true. */
  fill(text: string, leave: boolean): Promise<void>;
  /** Presses the Enter key in a field. */
  pressEnter(): Promise<void>;
  /** Chooses a file of this machine in a file field. */
  chooseFile(path: string): Promise<void>;
}
