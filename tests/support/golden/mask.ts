// What differs from run to run is written by a name instead: the first branch is BRANCH1, the second BRANCH2.

/** Numbers values of one kind in the order in which they are met. */
class Names {
  readonly #known = new Map<string, string>();

  constructor(readonly kind: string) {}

  of(value: string): string {
    const name = this.#known.get(value) ?? `${this.kind}${this.#known.size + 1}`;
    this.#known.set(value, name);
    return name;
  }
}

/** A pattern and the groups around what is volatile: (before)(value). */
type Rule = readonly [pattern: RegExp, kind: string];

const RULES: readonly Rule[] = [
  [/(;branch=)([^;,\s>]+)/g, "BRANCH"],
  [/(;(?:tag|to-tag|from-tag)=)([^;,\s>]+)/g, "TAG"],
  [/(\bCall-ID:? |^i: )(\S+)/gm, "CALL"],
  [/(;line=)([^;,>\s]+)/g, "LINE"],
  [/^(RSeq: )(\d+)/gm, "RSEQ"],
  [/^(RAck: )(\d+)/gm, "RSEQ"],
  [/(\bcnonce=)("[^"]*")/g, "CNONCE"],
  [/(\bresponse=)("[^"]*")/g, "RESPONSE"],
  [/(urn:uuid:)([0-9a-f-]+)/gi, "UUID"],
];

export class Mask {
  readonly #ports = new Map<number, string>();
  readonly #names = new Map<string, Names>();
  /** Two sockets, of UDP and of TCP, have got the same port number: the trace cannot tell them apart. */
  ambiguous = false;

  /** From now on a port is written by this name. */
  port(port: number, name: string): void {
    this.ambiguous ||= (this.#ports.get(port) ?? name) !== name;
    this.#ports.set(port, name);
  }

  /** The name of a value that is volatile. */
  name(kind: string, value: string): string {
    const names = this.#names.get(kind) ?? new Names(kind);
    this.#names.set(kind, names);
    return names.of(value);
  }

  /** Text of any kind. */
  text(text: string): string {
    let masked = text;
    for (const [pattern, kind] of RULES) {
      masked = masked.replace(
        pattern,
        (_all, before: string, value: string) => before + this.name(kind, value),
      );
    }
    return masked
      .replace(/^(o=\S+ )(\d{7,}) (\d+)/gm, (_all, before, session, version) => {
        return `${before}SESSION SESSION+${BigInt(version) - BigInt(session)}`; // both begin as the time of day
      })
      .replace(
        /((?:127\.0\.0\.1|localhost)(?::|%3A))(\d+)/g,
        (_all, before, port) => before + this.#portName(port),
      )
      .replace(/^(m=\S+ )(\d+)/gm, (_all, before, port) => before + this.#portName(port))
      .replace(/^(a=rtcp:)(\d+)/gm, (_all, before, port) => before + this.#portName(port))
      .replace(/(;rport=)(\d+)/g, (_all, before, port) => before + this.#portName(port))
      .replace(/\bin \d+ s\b/g, "in SECONDS s")
      .replace(/\bsiprtmp\/\d[\w.-]*/g, "siprtmp/VERSION");
  }

  #portName(port: string): string {
    if (Number(port) === 0) return "0";
    return this.#ports.get(Number(port)) ?? this.name("PORT", port);
  }
}
