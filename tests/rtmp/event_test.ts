import assert from "node:assert/strict";
import { CommandReply } from "../../lib/rtmp/event.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { sinkLink } from "../support/rtmp_sink.ts";

Deno.test("a command is answered once, with its own number", () => {
  const { sink, link } = sinkLink(new FakeClock());
  const reply = new CommandReply(link, 7);
  reply.result("a", 1);
  reply.result();
  reply.error("A.B", "late");
  assert.deepEqual(sink.lines(), ['command 0 _result 7 null "a" 1']);
});

Deno.test("an empty result has nothing behind the null", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 3).result();
  assert.deepEqual(sink.lines(), ["command 0 _result 3 null"]);
});

Deno.test("an error carries level, code and description", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 3).error("NetConnection.Call.Failed", "no such number");
  assert.deepEqual(sink.lines(), [
    'command 0 _error 3 null {"level":"error","code":"NetConnection.Call.Failed","description":"no such number"}',
  ]);
});

Deno.test("a command with number 0 is not answered", () => {
  const { sink, link } = sinkLink(new FakeClock());
  new CommandReply(link, 0).result();
  new CommandReply(link, 0).error("A.B", "text");
  assert.deepEqual(sink.lines(), []);
});
