/**
 * Each tab of the page holds a Web Lock named after the model that it has loaded, because the browser releases the locks
 * of a tab that is closed or crashes. The name is this prefix, the model's id, a slash, and the tab's id.
 */
export const LOADED_LOCK_PREFIX = 'mixtab-loaded/';
