// Answers to: lib/sip/ua/digest.ts. Published vectors, then the client against the verifier under every algorithm.

import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { WireError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { SipHeaders } from "../../../lib/sip/message/header.ts";
import { NO_BODY, type SipResponse } from "../../../lib/sip/message/message.ts";
import { parseSipUri } from "../../../lib/sip/message/uri.ts";
import {
  DigestClient,
  type DigestInput,
  digestResponse,
  formatAuthValue,
  formatChallenge,
  parseAlgorithm,
  parseAuthValue,
  parseChallenge,
  selectChallenge,
} from "../../../lib/sip/ua/digest.ts";

const MUFASA = {
  username: "Mufasa",
  realm: "http-auth@example.org",
  password: "Circle of Life",
  method: "GET",
  uri: "/dir/index.html",
  nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
  cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
  nc: "00000001",
  qop: "auth",
  body: NO_BODY,
} as const;

const VECTORS: [source: string, input: DigestInput, response: string][] = [
  ["RFC 7616 3.9.1 MD5", { ...MUFASA, algorithm: "MD5" }, "8ca523f5e9506fed4657c9700eebdbec"],
  [
    "RFC 7616 3.9.1 SHA-256",
    { ...MUFASA, algorithm: "SHA-256" },
    "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
  ],
  [
    "RFC 2617 3.5",
    {
      ...MUFASA,
      algorithm: "MD5",
      realm: "testrealm@host.com",
      password: "Circle Of Life",
      nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
      cnonce: "0a4f113b",
    },
    "6629fae49393a05397450978507c4ef1",
  ],
];

for (const [source, input, response] of VECTORS) {
  Deno.test(`digest: ${source}`, () => assert.equal(digestResponse(input), response));
}

const BOB = {
  username: "bob",
  realm: "biloxi.com",
  password: "zanzibar",
  method: "INVITE",
  uri: "sip:bob@biloxi.com",
  nonce: "dcd98b7102dd2f0e",
  cnonce: "0a4f113b",
  nc: "00000001",
  body: encodeUtf8("v=0\r\n"),
};

/** Computed with another implementation (Python's hashlib): without qop, auth, auth of -sess, auth-int. */
const ALGORITHMS = [
  [
    "MD5",
    "d7d69711a7266a62fa3c17256a06b1a6",
    "be5401a701220afaa6c358edab4980cc",
    "c44fb71b31059fb3ba971dad63d5e2d7",
    "660816aa59206583f0ffa11f1026d3e5",
  ],
  [
    "SHA-256",
    "73c68a75070cb734ca9929b25b5d0a7cf8bcb3e877d13430eccd38dad9c3b227",
    "0c9bb34750dc962199f24fa650ae603f92562a2fd65f284d7e8026cde19ff441",
    "3f6de1606a8cfd1e66b39ac550d0312adf457e460cfac7348bb52bcd5b3badf1",
    "abe7d3160eb36ced1be3cc70b9e16f76142098122433e6df21ff56ef77a0aa15",
  ],
  [
    "SHA-512-256",
    "343d1d0d1d2ddb6b3ac50c23b90109d38d7146d78031880240a7c836f9911f3e",
    "4f58c14f48a615d94f36e6f6ed56d98d388103b59bbd4c90f82c6d3166da838f",
    "669b90a0808f14ff8e5b78c2aed3a6c8b3d539540aaff18736a36f51ddb6f235",
    "b115d1c24dc52ca09a834009053839e4415bf7dd5c8f1b093002d22eae5d570f",
  ],
] as const;

Deno.test("digest: every algorithm with every protection", () => {
  for (const [algorithm, none, auth, sess, integrity] of ALGORITHMS) {
    assert.equal(digestResponse({ ...BOB, algorithm, qop: null }), none);
    assert.equal(digestResponse({ ...BOB, algorithm, qop: "auth" }), auth);
    assert.equal(digestResponse({ ...BOB, algorithm: `${algorithm}-sess`, qop: "auth" }), sess);
    assert.equal(digestResponse({ ...BOB, algorithm, qop: "auth-int" }), integrity);
  }
});

/** A 401 or 407 to the request with this CSeq. */
function challenged(cseq: number, headers: [string, string][], callId = "call-1"): SipResponse {
  const all: [string, string][] = [["Call-ID", callId], ["CSeq", `${cseq} REGISTER`], ...headers];
  return {
    kind: "response",
    status: 401,
    reason: "Unauthorized",
    headers: new SipHeaders(all),
    body: NO_BODY,
  };
}

const www = (value: string): [string, string] => ["WWW-Authenticate", value];
const proxy = (value: string): [string, string] => ["Proxy-Authenticate", value];
const newClient = (username = "bob") => new DigestClient(username, "zanzibar", seededRandom(1));
const authorize = (client: DigestClient, response: SipResponse) =>
  client.authorize(response, { method: "REGISTER", uri: "sip:biloxi.com", body: NO_BODY });
const paramsOf = (value: string) => Object.fromEntries(parseAuthValue(value).params);

Deno.test("digest client: answers with what the server gave, and the right response", () => {
  const challenge =
    'Digest realm="a, b=c", nonce="x=y,z==", opaque="o=,", algorithm=MD5, qop="auth,auth-int"';
  const answer = authorize(newClient(), challenged(1, [www(challenge)]));
  assert.equal(answer?.length, 1);
  assert.equal(answer[0]!.header, "Authorization");
  const params = paramsOf(answer[0]!.value);
  const { response, cnonce, ...rest } = params;
  assert.deepEqual(rest, {
    username: "bob",
    realm: "a, b=c",
    nonce: "x=y,z==",
    uri: "sip:biloxi.com",
    algorithm: "MD5",
    qop: "auth",
    nc: "00000001",
    opaque: "o=,",
  });
  const input = {
    ...BOB,
    realm: "a, b=c",
    nonce: "x=y,z==",
    method: "REGISTER",
    uri: "sip:biloxi.com",
    cnonce: cnonce!,
  };
  assert.equal(response, digestResponse({ ...input, algorithm: "MD5", qop: "auth" }));
  assert.match(answer[0]!.value, /, qop=auth, nc=00000001, /, "token values are not quoted");
});

Deno.test("digest client: no qop, no algorithm: the short form of RFC 2069", () => {
  const answer = authorize(newClient(), challenged(1, [proxy('Digest realm="r", nonce="n"')]));
  assert.equal(answer![0]!.header, "Proxy-Authorization");
  const { response, ...rest } = paramsOf(answer![0]!.value);
  assert.deepEqual(rest, { username: "bob", realm: "r", nonce: "n", uri: "sip:biloxi.com" });
  const input = { ...BOB, realm: "r", nonce: "n", method: "REGISTER", uri: "sip:biloxi.com" };
  assert.equal(response, digestResponse({ ...input, algorithm: "MD5", qop: null }));
});

Deno.test("digest client: the strongest of several algorithms, one answer per realm", () => {
  const answer = authorize(
    newClient(),
    challenged(1, [
      www('Digest realm="one", nonce="n1", algorithm=MD5, qop="auth"'),
      www('Digest realm="one", nonce="n2", algorithm=SHA-512-256, qop="auth"'),
      www('Digest realm="one", nonce="n3", algorithm=SHA-256, qop="auth"'),
      www('Digest realm="two", nonce="n4", algorithm=MD5-sess, qop="auth"'),
      proxy('Digest realm="one", nonce="n5"'),
    ]),
  );
  assert.deepEqual(
    answer?.map(({ header, value }) => [header, paramsOf(value).realm, paramsOf(value).nonce]),
    [
      ["Authorization", "one", "n2"],
      ["Authorization", "two", "n4"],
      ["Proxy-Authorization", "one", "n5"],
    ],
  );
});

Deno.test("digest client: refused credentials are not tried again, stale nonces are", () => {
  const client = newClient();
  const plain = (nonce: string) => www(`Digest realm="r", nonce="${nonce}", qop="auth"`);
  const stale = (nonce: string) => www(`Digest realm="r", nonce="${nonce}", qop="auth", stale=TRUE`);
  assert.ok(authorize(client, challenged(1, [plain("n1")])));
  assert.equal(paramsOf(authorize(client, challenged(2, [stale("n2")]))![0]!.value).nonce, "n2");
  assert.equal(authorize(client, challenged(3, [plain("n3")])), null);
});

Deno.test("digest client: a server for which every nonce is stale is given up", () => {
  const client = newClient();
  let rounds = 0;
  while (
    authorize(client, challenged(rounds + 1, [www(`Digest realm="r", nonce="n${rounds}", stale=true`)]))
  ) rounds++;
  assert.equal(rounds, 4);
});

Deno.test("digest client: a later request of the same Call-ID may be challenged anew", () => {
  const client = newClient();
  assert.ok(authorize(client, challenged(1, [www('Digest realm="r", nonce="n1"')])));
  // CSeq 2 was accepted; the refresh with CSeq 3 is challenged with a new nonce.
  assert.ok(authorize(client, challenged(3, [www('Digest realm="r", nonce="n2"')])));
  assert.equal(authorize(client, challenged(4, [www('Digest realm="r", nonce="n3"')])), null);
});

Deno.test("digest client: what was forgotten is not offered unasked, and a refused realm is answered again", () => {
  const client = new DigestClient("alice", "pw", seededRandom(1));
  const uri = "sip:example.com";
  const challenge: [string, string][] = [["WWW-Authenticate", 'Digest realm="r", nonce="n"']];
  assert.ok(client.authorize(challenged(1, challenge), { method: "REGISTER", uri, body: NO_BODY }));
  assert.equal(client.authorize(challenged(2, challenge), { method: "REGISTER", uri, body: NO_BODY }), null);
  assert.equal(client.reuse("REGISTER", uri, new Uint8Array()).length, 1);
  client.forget();
  assert.deepEqual(client.reuse("REGISTER", uri, new Uint8Array()), []);
  assert.equal(
    client.authorize(challenged(3, challenge), { method: "REGISTER", uri, body: NO_BODY })?.length,
    1,
  );
});

Deno.test("digest client: two proxies in a row both keep their credentials", () => {
  const client = newClient();
  assert.equal(
    authorize(client, challenged(1, [proxy('Digest realm="p1", nonce="n1", qop="auth"')]))?.length,
    1,
  );
  const both = authorize(client, challenged(2, [proxy('Digest realm="p2", nonce="n2", qop="auth"')]));
  assert.deepEqual(both?.map(({ value }) => [paramsOf(value).realm, paramsOf(value).nc]), [
    ["p1", "00000002"],
    ["p2", "00000001"],
  ]);
  assert.equal(authorize(client, challenged(3, [proxy('Digest realm="p1", nonce="n3"')])), null);
});

Deno.test("digest client: reuse offers credentials unasked, to the same host only, counting on", () => {
  const client = newClient();
  assert.deepEqual(client.reuse("REGISTER", "sip:biloxi.com", NO_BODY), []);
  authorize(client, challenged(1, [www('Digest realm="r", nonce="n1", qop="auth"')]));
  const again = client.reuse("REGISTER", parseSipUri("sip:Biloxi.com"), NO_BODY);
  assert.equal(paramsOf(again[0]!.value).nc, "00000002");
  assert.equal(client.reuse("INVITE", "sip:x@biloxi.com;user=phone", NO_BODY).length, 1);
  assert.deepEqual(client.reuse("INVITE", "sip:x@elsewhere.net", NO_BODY), []);
});

Deno.test("digest client: nothing usable is null, never an exception", () => {
  const useless: [string, string][][] = [
    [],
    [www("Basic realm=x")],
    [www("NoOneKnows opaque-data=here, 1=2==")],
    [www('Digest realm="r"')],
    [www('Digest realm="r", nonce="n')],
    [www('Digest realm="r", nonce="n" x, qop=auth')],
    [www('Digest realm="r", nonce="n", algorithm=SHA3')],
    [www('Digest realm="r", nonce="n", qop="magic"')],
    [www("")],
  ];
  for (const headers of useless) {
    assert.equal(authorize(newClient(), challenged(1, headers)), null, String(headers));
  }
});

Deno.test("digest client: other letters and quotes in the user name", () => {
  const answer = authorize(newClient('zo\u00eb "\\'), challenged(1, [www('Digest realm="r", nonce="n"')]));
  assert.match(answer![0]!.value, /^Digest username="zo\u00eb \\"\\\\", /);
  const input = {
    ...BOB,
    username: 'zo\u00eb "\\',
    realm: "r",
    nonce: "n",
    method: "REGISTER",
    uri: "sip:biloxi.com",
  };
  assert.equal(
    paramsOf(answer![0]!.value).response,
    digestResponse({ ...input, algorithm: "MD5", qop: null }),
  );
});

Deno.test("digest client: auth-int when nothing else is offered", () => {
  const body = encodeUtf8("v=0\r\n");
  const response = challenged(1, [www('Digest realm="r", nonce="n", qop="auth-int"')]);
  const params = paramsOf(
    newClient().authorize(response, { method: "REGISTER", uri: "sip:biloxi.com", body })![0]!.value,
  );
  const input = {
    ...BOB,
    realm: "r",
    nonce: "n",
    method: "REGISTER",
    uri: "sip:biloxi.com",
    cnonce: params.cnonce!,
    body,
  };
  assert.equal(params.response, digestResponse({ ...input, algorithm: "MD5", qop: "auth-int" }));
});

Deno.test("digest client: hundreds of realms and calls are forgotten, oldest first", () => {
  const client = newClient();
  for (let i = 0; i < 300; i++) {
    authorize(client, challenged(1, [www(`Digest realm="r${i}", nonce="n"`)], `call-${i}`));
  }
  assert.equal(client.reuse("REGISTER", "sip:biloxi.com", NO_BODY).length, 32);
});

Deno.test("digest_challenge: both ways", () => {
  const texts = [
    'Digest realm="r", nonce="n"',
    'Digest realm="a, \\"b\\"", nonce="x=", opaque="o", stale=true, algorithm=SHA-256-sess, qop="auth,auth-int"',
    'Digest realm="", nonce="n", algorithm=md5',
  ];
  for (const text of texts) assert.equal(formatChallenge(parseChallenge(text)!), text);
});

Deno.test("digest_challenge: what the parameters mean", () => {
  const challenge = parseChallenge(
    'Digest nonce="n", realm="r", qop=" auth-int , AUTH, token ", stale="TRUE", algorithm="sha-512-256"',
  );
  assert.deepEqual(challenge, {
    realm: "r",
    nonce: "n",
    opaque: null,
    algorithm: "SHA-512-256",
    algorithmText: "sha-512-256",
    stale: true,
    qop: ["auth-int", "auth"],
  });
  assert.equal(parseChallenge('Digest nonce="n", stale=false')!.stale, false);
  assert.deepEqual(parseChallenge('Digest nonce="n", qop=""')!.qop, []);
});

Deno.test("digest_challenge: what cannot be answered is null, what is malformed a WireError", () => {
  const useless = [
    'Basic realm="r"',
    'Digest realm="r"',
    'Digest nonce="n", algorithm=AKAv1-MD5',
    'Digest nonce="n", qop="token"',
  ];
  for (const text of useless) assert.equal(parseChallenge(text), null, text);
  assert.throws(() => parseChallenge('Digest nonce="n'), WireError);
});

Deno.test("digest_challenge: the strongest wins, of equals the first", () => {
  const named = (algorithm: string, nonce: string) =>
    parseChallenge(`Digest nonce="${nonce}", algorithm=${algorithm}`)!;
  const choices: [offered: string[], chosen: number][] = [
    [["MD5"], 0],
    [["MD5", "SHA-256"], 1],
    [["SHA-256", "SHA-512-256", "MD5"], 1],
    [["MD5-sess", "MD5"], 0],
    [["MD5", "MD5-sess"], 0],
    [["SHA-256-sess", "SHA-256", "MD5"], 0],
  ];
  for (const [offered, chosen] of choices) {
    const list = offered.map((algorithm, i) => named(algorithm, `n${i}`));
    assert.equal(selectChallenge(list)!.nonce, `n${chosen}`, offered.join());
  }
  assert.equal(selectChallenge([]), null);
});

Deno.test("digest_challenge: algorithm names", () => {
  assert.equal(parseAlgorithm(null), "MD5");
  assert.equal(parseAlgorithm("Sha-256-SESS"), "SHA-256-sess");
  assert.equal(parseAlgorithm("SHA-1"), null);
});

const CASES: [name: string, text: string, params: Record<string, string>][] = [
  ["plain", 'Digest realm="r", nonce="n"', { realm: "r", nonce: "n" }],
  ["commas and = in quotes", 'Digest realm="a, b=c", nonce="x==", qop="auth,auth-int"', {
    realm: "a, b=c",
    nonce: "x==",
    qop: "auth,auth-int",
  }],
  ["= at the end of an unquoted value", "Digest nonce=abc==, realm=r", { nonce: "abc==", realm: "r" }],
  ["blanks everywhere", '  digest   realm = "r" ,nonce="n"  ,stale = true ', {
    realm: "r",
    nonce: "n",
    stale: "true",
  }],
  ["no blanks", 'Digest realm="r",nonce="n",algorithm=MD5', { realm: "r", nonce: "n", algorithm: "MD5" }],
  ["escapes stay as they came", 'Digest realm="a\\"b\\\\", nonce="n"', { realm: 'a\\"b\\\\', nonce: "n" }],
  ["empty values", 'Digest opaque="", nonce=n', { opaque: "", nonce: "n" }],
  ["final comma", 'Digest realm="r",', { realm: "r" }],
  ["first of repeated names", "Digest a=1, A=2", { a: "1" }],
  ["nothing", "Digest", {}],
];

for (const [name, text, params] of CASES) {
  Deno.test(`auth_params: ${name}`, () => {
    const value = parseAuthValue(text);
    assert.equal(value.scheme, "digest");
    assert.deepEqual(Object.fromEntries(value.params), params);
  });
}

Deno.test("auth_params: other schemes are recognised and not looked into", () => {
  assert.deepEqual(parseAuthValue("Basic dXNlcjpwYXNz=="), { scheme: "basic", params: new Map() });
  assert.deepEqual(parseAuthValue('NoOneKnows opaque-data="here').scheme, "nooneknows");
});

Deno.test("auth_params: refused", () => {
  for (
    const text of [
      "",
      ",",
      "@",
      'Digest realm="r',
      'Digest realm="r" x',
      "Digest realm",
      "Digest =x",
      "Digest a b=c",
    ]
  ) {
    assert.throws(() => parseAuthValue(text), WireError, text);
  }
});

Deno.test("auth_params: what is formatted is parsed again", () => {
  const value = fc.string({ unit: "grapheme" }).map((text) => text.replace(/["\\]/g, "\\$&"));
  fc.assert(fc.property(value, value, (realm, nonce) => {
    const text = formatAuthValue(
      [["realm", realm], ["algorithm", "MD5"], ["nonce", nonce]],
      new Set(["realm", "nonce"]),
    );
    assert.deepEqual(Object.fromEntries(parseAuthValue(text).params), { realm, algorithm: "MD5", nonce });
  }));
});

Deno.test("auth_params: arbitrary text is parsed or refused", () => {
  const piece = fc.constantFrom('"', "\\", ",", "=", " ", "a", "realm", "é", "\t");
  fc.assert(fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    try {
      parseAuthValue(`Digest ${pieces.join("")}`);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
    }
  }));
});
