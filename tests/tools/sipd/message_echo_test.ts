import assert from "node:assert/strict";
import { type SipBody, textBody } from "../../../lib/sip/message/body.ts";
import { parseNameAddr } from "../../../lib/sip/message/name_addr.ts";
import { formatSipUri } from "../../../lib/sip/message/uri.ts";
import {
  MAX_REPLIES,
  MAX_REPLIES_PER_SECOND,
  MAX_TEXT_OCTETS,
  MessageEcho,
} from "../../../lib/tools/sipd/message_echo.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function bench() {
  const clock = new FakeClock();
  const sent: string[] = [];
  const open: (() => void)[] = [];
  const echo = new MessageEcho({
    clock,
    neverTo: new Set(["echo", "tone"]),
    send: (to, body, done) => {
      sent.push(`${formatSipUri(to)} ${new TextDecoder().decode(body.bytes)}`);
      open.push(done);
    },
  });
  return { clock, sent, open, echo };
}

const from = (address: string, body: SipBody = textBody("hi")) => ({
  from: parseNameAddr(address),
  to: parseNameAddr("<sip:echo@x>"),
  body,
});

Deno.test("a message goes back to its sender", () => {
  const { echo, sent } = bench();
  echo.receive(from('"Al" <sip:alice@10.0.0.1:5070>;tag=1'));
  assert.deepEqual(sent, ["sip:alice@10.0.0.1:5070 hi"]);
});

Deno.test("built-in numbers, nameless senders and very long texts get no reply", () => {
  const { echo, sent } = bench();
  echo.receive(from("<sip:echo@10.0.0.1>;tag=1"));
  echo.receive(from("<sip:tone@10.0.0.1>;tag=1"));
  echo.receive(from("<sip:10.0.0.1>;tag=1"));
  echo.receive(from("<sip:alice@x>", { type: "text/plain", bytes: new Uint8Array(MAX_TEXT_OCTETS + 1) }));
  assert.deepEqual(sent, []);
  assert.equal(echo.dropped, 4);
});

Deno.test("so many replies under way, and so many in a second", () => {
  const { echo, sent, open, clock } = bench();
  const receive = (count: number) => {
    for (let i = 0; i < count; i++) echo.receive(from("<sip:alice@x>"));
  };
  receive(MAX_REPLIES + 3);
  assert.equal(sent.length, MAX_REPLIES);
  for (const done of open.splice(0)) {
    done();
    done(); // twice counts once
  }
  receive(MAX_REPLIES);
  assert.equal(sent.length, MAX_REPLIES_PER_SECOND);
  for (const done of open.splice(0)) done();
  clock.advance(1000);
  receive(1);
  assert.equal(sent.length, MAX_REPLIES_PER_SECOND + 1);
});

Deno.test("messages of calls count like the others", () => {
  const { echo } = bench();
  let replies = 0;
  for (let i = 0; i < MAX_REPLIES + 2; i++) {
    echo.receiveInCall(textBody("hi"), () => void replies++);
  }
  assert.equal(replies, MAX_REPLIES);
});
