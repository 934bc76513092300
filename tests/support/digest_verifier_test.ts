// Answers to: tests/support/digest_verifier.ts. The client of lib/sip/ua/digest.ts is the other party.

import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { type DigestAlgorithm, DigestClient } from "../../lib/sip/ua/digest.ts";
import { type DigestVerdict, DigestVerifier, type DigestVerifierOptions } from "./digest_verifier.ts";
import { SipHeaders } from "../../lib/sip/message/header.ts";
import type { SipRequest } from "../../lib/sip/message/message.ts";
import { parseSipUri } from "../../lib/sip/message/uri.ts";
import { FakeClock } from "./fake_clock.ts";

function newRequest(cseq: number): SipRequest {
  const headers = new SipHeaders([
    ["Via", "SIP/2.0/UDP h;branch=z9hG4bK1"],
    ["From", "<sip:bob@biloxi.com>;tag=1"],
    ["To", "<sip:bob@biloxi.com>"],
    ["Call-ID", "c"],
    ["CSeq", `${cseq} REGISTER`],
  ]);
  return {
    kind: "request",
    method: "REGISTER",
    uri: parseSipUri("sip:biloxi.com"),
    headers,
    body: encodeUtf8("body"),
  };
}

class Party {
  readonly clock = new FakeClock();
  readonly verifier: DigestVerifier;
  readonly client: DigestClient;
  cseq = 0;

  constructor(options: Partial<DigestVerifierOptions> = {}, password = "zanzibar", username = "bob") {
    const random = seededRandom(7);
    this.verifier = new DigestVerifier({ realm: "biloxi.com", ...options }, { clock: this.clock, random });
    this.client = new DigestClient(username, password, random);
  }

  verify(request: SipRequest, asked: "user" | "proxy" = "user"): DigestVerdict {
    return this.verifier.verify(request, asked, (name) => (name === "mallory" ? null : "zanzibar"));
  }

  /** A request that carries the answer to a challenge. */
  answered(asked: "user" | "proxy" = "user", stale = false): SipRequest | null {
    const challenge = this.verifier.challenge(newRequest(++this.cseq), asked, stale, "t1");
    const request = newRequest(this.cseq + 1);
    const headers = this.client.authorize(challenge, request);
    if (headers === null) return null;
    for (const { header, value } of headers) request.headers.add(header, value);
    return request;
  }
}

const ALGORITHMS: DigestAlgorithm[] = [
  "MD5",
  "MD5-sess",
  "SHA-256",
  "SHA-256-sess",
  "SHA-512-256",
  "SHA-512-256-sess",
];

Deno.test("digest_verifier: every algorithm, protection and kind of challenge", () => {
  for (const algorithm of ALGORITHMS) {
    for (const qop of [[], ["auth"], ["auth-int"], ["auth", "auth-int"]] as const) {
      for (const asked of ["user", "proxy"] as const) {
        const party = new Party({ algorithms: [algorithm], qop });
        assert.deepEqual(
          party.verify(party.answered(asked)!, asked),
          { type: "ok", username: "bob" },
          `${algorithm} ${qop}`,
        );
        const wrong = new Party({ algorithms: [algorithm], qop }, "nope");
        assert.deepEqual(wrong.verify(wrong.answered(asked)!, asked), { type: "wrong", username: "bob" });
      }
    }
  }
});

Deno.test("digest_verifier: by default offers SHA-256 and MD5, and the client takes SHA-256", () => {
  const party = new Party();
  const challenge = party.verifier.challenge(newRequest(1), "user", false, "t1");
  assert.equal(challenge.status, 401);
  assert.equal(challenge.headers.get("To"), "<sip:bob@biloxi.com>;tag=t1");
  assert.deepEqual(
    challenge.headers.all("WWW-Authenticate").map((value) => /algorithm=([^,]*)/.exec(value)![1]),
    ["SHA-256", "MD5"],
  );
  assert.match(party.answered()!.headers.get("Authorization")!, /algorithm=SHA-256/);
});

Deno.test("digest_verifier: user names with other letters and quotes", () => {
  const party = new Party({}, "zanzibar", 'zo\u00eb "q" \\');
  assert.deepEqual(party.verify(party.answered()!), { type: "ok", username: 'zo\u00eb "q" \\' });
});

Deno.test("digest_verifier: missing, foreign and unknown credentials", () => {
  const party = new Party();
  assert.deepEqual(party.verify(newRequest(1)), { type: "missing" });
  assert.deepEqual(party.verify(party.answered("proxy")!), { type: "missing" }, "other header");
  const foreign = newRequest(1);
  foreign.headers.add("Authorization", 'Digest realm="elsewhere", username="bob"');
  assert.deepEqual(party.verify(foreign), { type: "missing" });
  const broken = newRequest(1);
  broken.headers.add("Authorization", 'Digest realm="biloxi.com');
  assert.deepEqual(party.verify(broken), { type: "wrong", username: null });
  const mallory = new Party({}, "zanzibar", "mallory");
  assert.deepEqual(mallory.verify(mallory.answered()!), { type: "wrong", username: "mallory" });
});

Deno.test("digest_verifier: an algorithm that was not offered is wrong", () => {
  const party = new Party({ algorithms: ["SHA-256"] });
  const request = party.answered()!;
  request.headers.set(
    "Authorization",
    request.headers.get("Authorization")!.replace("algorithm=SHA-256, ", ""),
  );
  assert.deepEqual(party.verify(request), { type: "wrong", username: "bob" });
});

Deno.test("digest_verifier: an old nonce is stale, and the client goes on with a new one", () => {
  const party = new Party({ nonceLifeMs: 1000 });
  const request = party.answered()!;
  party.clock.advance(1001);
  assert.deepEqual(party.verify(request), { type: "stale" });
  const again = party.answered("user", true);
  assert.deepEqual(party.verify(again!), { type: "ok", username: "bob" });
});

Deno.test("digest_verifier: a replayed request is stale, the next count is good", () => {
  const party = new Party();
  const request = party.answered()!;
  assert.equal(party.verify(request).type, "ok");
  assert.equal(party.verify(request).type, "stale");
  const next = newRequest(9);
  for (const { header, value } of party.client.reuse("REGISTER", next.uri, next.body)) {
    next.headers.add(header, value);
  }
  assert.equal(party.verify(next).type, "ok");
});

Deno.test("digest_verifier: nonces of somebody else are stale", () => {
  const ours = new Party();
  const theirs = new DigestVerifier({ realm: "biloxi.com" }, { clock: ours.clock, random: seededRandom(8) });
  const request = newRequest(2);
  const challenge = theirs.challenge(newRequest(1), "user", false);
  for (const { header, value } of ours.client.authorize(challenge, request)!) {
    request.headers.add(header, value);
  }
  assert.equal(ours.verify(request).type, "stale");
});

Deno.test("digest_verifier: thousands of used nonces are forgotten, oldest first, and stay harmless", () => {
  const party = new Party();
  for (let i = 0; i < 5000; i++) {
    party.cseq += 10;
    assert.equal(party.verify(party.answered()!).type, "ok");
  }
});
