// Which SIP domains may be used and which numbers may be dialled.
// Role: machine

export interface DialMatcher {
  /** True when it wants user@host, not the user alone. */
  readonly wantsHost: boolean;
  /** Null when the text does not fit. */
  match(text: string): unknown;
}

/** What is allowed; null: everything. */
interface DialRuleOptions {
  readonly domains: readonly string[] | null;
  /** Patterns; one has to fit. */
  readonly dials: readonly DialMatcher[] | null;
}

/** Where a call goes, as its SIP URI says. */
export interface DialTarget {
  /** Number or name; null when the URI has none. */
  readonly user: string | null;
  /** Domain or address; empty for tel:. */
  readonly host: string;
}

/** A decision; the reason is for the client and the log. */
export type Decision = { readonly type: "allowed" } | { readonly type: "refused"; readonly reason: string };

export const ALLOWED: Decision = { type: "allowed" };

/**
 * Decides by domain and number.
 *
 *   domains   "example.com" that one, "*.example.com" all below it; none: any
 *   dials     patterns over what is before the @ (or the whole user@host when they name an @); none: any
 */
export class DialRules {
  readonly #options: DialRuleOptions;

  constructor(options: DialRuleOptions) {
    this.#options = options;
  }

  mayUse(host: string): Decision {
    const { domains } = this.#options;
    if (domains === null || domains.some((domain) => isWithin(host, domain))) return ALLOWED;
    return { type: "refused", reason: `the domain ${shown(host)} is not in allowed-domains` };
  }

  mayDial({ user, host }: DialTarget): Decision {
    const { dials } = this.#options;
    const domain = host === "" ? ALLOWED : this.mayUse(host); // tel: has none
    if (domain.type === "refused" || dials === null) return domain;
    const name = user ?? "";
    const fits = dials.some((dial) => dial.match(dial.wantsHost ? `${name}@${host}` : name) !== null);
    return fits ? ALLOWED : { type: "refused", reason: `${shown(name)} is not in allowed-dials` };
  }
}

/** Names are compared without case and final dot (RFC 4343). */
function isWithin(host: string, domain: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  return domain.startsWith("*.") ? name.endsWith(domain.slice(1)) : name === domain;
}

/** A peer's text in a reason stays short and on one line. */
function shown(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.slice(0, 80).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
