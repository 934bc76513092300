// Answers to: lib/sip/message/header_names.ts.

import assert from "node:assert/strict";
import { headerKey, headerKind, headerName } from "../../../lib/sip/message/header_names.ts";

Deno.test("header_names: compact forms", () => {
  const forms: [compact: string, name: string][] = [
    ["a", "Accept-Contact"],
    ["b", "Referred-By"],
    ["c", "Content-Type"],
    ["d", "Request-Disposition"],
    ["e", "Content-Encoding"],
    ["f", "From"],
    ["i", "Call-ID"],
    ["j", "Reject-Contact"],
    ["k", "Supported"],
    ["l", "Content-Length"],
    ["m", "Contact"],
    ["n", "Identity-Info"],
    ["o", "Event"],
    ["r", "Refer-To"],
    ["s", "Subject"],
    ["t", "To"],
    ["u", "Allow-Events"],
    ["v", "Via"],
    ["x", "Session-Expires"],
    ["y", "Identity"],
  ];
  for (const [compact, name] of forms) {
    assert.equal(headerName(compact), name);
    assert.equal(headerName(compact.toUpperCase()), name);
    assert.equal(headerKey(name), headerKey(compact));
  }
  assert.equal(headerName("q"), "Q", "no compact form");
});

Deno.test("header_names: spelling", () => {
  const names = [
    "CSeq",
    "RAck",
    "RSeq",
    "WWW-Authenticate",
    "MIME-Version",
    "Min-SE",
    "Min-Expires",
    "P-Asserted-Identity",
  ];
  for (const name of names) assert.equal(headerName(name.toLowerCase()), name);
});

Deno.test("header_names: how headers repeat", () => {
  for (const key of ["via", "route", "contact", "warning"]) assert.equal(headerKind(key), "elements");
  for (const key of ["allow", "supported", "require"]) assert.equal(headerKind(key), "tokens");
  for (const key of ["www-authenticate", "subject", "date", "user-agent"]) {
    assert.equal(headerKind(key), "single");
  }
});
