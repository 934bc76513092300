// AMF0 written and read for the traces, apart from the gateway's own: a fault of that one must not hide itself.

type Item = { value: unknown; next: number };

const text = new TextEncoder();

/** Appends one value: null, undefined, booleans, numbers, strings and plain objects. */
export function writeAmf(out: number[], value: unknown): void {
  if (value === null) out.push(5);
  else if (value === undefined) out.push(6);
  else if (typeof value === "boolean") out.push(1, value ? 1 : 0);
  else if (typeof value === "number") {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    out.push(0, ...bytes);
  } else if (typeof value === "string") {
    out.push(2);
    writeName(out, value);
  } else {
    out.push(3);
    for (const [name, member] of Object.entries(value as object)) {
      writeName(out, name);
      writeAmf(out, member);
    }
    out.push(0, 0, 9);
  }
}

function writeName(out: number[], name: string): void {
  const bytes = text.encode(name);
  out.push(bytes.length >> 8, bytes.length & 255, ...bytes);
}

/** All values of a body as text; what is no AMF0 stands as hex. */
export function amfText(body: Uint8Array): string {
  const words: string[] = [];
  for (let at = 0; at < body.length;) {
    const item = readAmf(body, at);
    if (item === null) {
      words.push(`hex ${body.subarray(at).toHex()}`);
      break;
    }
    words.push(wordOf(item.value));
    at = item.next;
  }
  return words.join(" ");
}

function wordOf(value: unknown): string {
  return value === undefined ? "undefined" : JSON.stringify(value);
}

function readAmf(body: Uint8Array, at: number): Item | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  switch (body[at]) {
    case 0:
      return { value: view.getFloat64(at + 1), next: at + 9 };
    case 1:
      return { value: body[at + 1] !== 0, next: at + 2 };
    case 2:
      return readName(body, at + 1);
    case 3:
      return readMembers(body, at + 1, {});
    case 5:
      return { value: null, next: at + 1 };
    case 6:
      return { value: undefined, next: at + 1 };
    case 8:
      return readMembers(body, at + 5, { "(ecma)": view.getUint32(at + 1) });
    case 10:
      return readArray(body, at + 5, view.getUint32(at + 1));
    case 11:
      return { value: { "(date)": view.getFloat64(at + 1) }, next: at + 11 };
    default:
      return null;
  }
}

function readName(body: Uint8Array, at: number): { value: string; next: number } {
  const end = at + 2 + (body[at]! << 8) + body[at + 1]!;
  return { value: new TextDecoder().decode(body.subarray(at + 2, end)), next: end };
}

function readMembers(body: Uint8Array, at: number, members: Record<string, unknown>): Item | null {
  for (;;) {
    const name = readName(body, at);
    if (name.value === "" && body[name.next] === 9) return { value: members, next: name.next + 1 };
    const member = readAmf(body, name.next);
    if (member === null) return null;
    members[name.value] = member.value;
    at = member.next;
  }
}

function readArray(body: Uint8Array, at: number, count: number): Item | null {
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const item = readAmf(body, at);
    if (item === null) return null;
    items.push(item.value);
    at = item.next;
  }
  return { value: items, next: at };
}
