// First files of workers, for tests.

/** A worker of a few words, so that a test need not load a whole gateway. */
export function script(text: string): URL {
  return new URL(`data:application/javascript,${encodeURIComponent(text)}`);
}

/** `deno test` checks the types of every thread's first file anew, which takes seconds: not those of a computed import. */
export function unchecked(file: string): URL {
  return script(`const file = "${new URL(`../../${file}`, import.meta.url)}"; await import(file);`);
}
