// Takes characters off the ends of a text, in one look at each: an expression such as /\/+$/ looks at a run of slashes
// inside the text once from each of them.
// Role: wire

/** Without any of `characters` at both ends. */
export function trimCharacters(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start]!)) start++;
  return trimEndCharacters(text.slice(start), characters);
}

/** Without any of `characters` at the end. */
export function trimEndCharacters(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}
