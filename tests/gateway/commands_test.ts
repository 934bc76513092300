import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClientCommand, parseCommand } from "../../lib/gateway/commands.ts";

function commandOf(name: string, ...args: unknown[]): ClientCommand {
  const parsed = parseCommand(name, args);
  assert.equal(parsed.type, "command", JSON.stringify(parsed));
  return parsed.type === "command" ? parsed.command : assert.fail();
}

function refusalOf(name: string, ...args: unknown[]): string {
  const parsed = parseCommand(name, args);
  assert.equal(parsed.type, "refused", JSON.stringify(parsed));
  return parsed.type === "refused" ? parsed.reason : assert.fail();
}

const accepted: [name: string, args: unknown[], command: ClientCommand][] = [
  ["invite", ["bob@example.com"], { name: "invite", destination: "bob@example.com", codecs: [] }],
  ["invite", [' "Bob" <sip:bob@h:5070> ', "wideband", "h264"], {
    name: "invite",
    destination: '"Bob" <sip:bob@h:5070>',
    codecs: ["wideband", "h264"],
  }],
  ["invite", ["7140", null, undefined], { name: "invite", destination: "7140", codecs: [] }],
  ["accept", [], { name: "accept", codecs: [] }],
  ["accept", ["pcmu", null, "dtmf"], { name: "accept", codecs: ["pcmu", "dtmf"] }],
  ["reject", [], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", [null], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", [""], { name: "reject", status: 603, reason: "Decline" }],
  ["reject", ["486 Busy Here"], { name: "reject", status: 486, reason: "Busy Here" }],
  ["reject", ["486 Busy\u2028Here"], { name: "reject", status: 486, reason: "Busy\u2028Here" }],
  ["reject", ["486   Busy"], { name: "reject", status: 486, reason: "Busy" }],
  ["reject", ["4860"], { name: "reject", status: 603, reason: "4860" }],
  ["reject", ["480"], { name: "reject", status: 480, reason: "" }],
  ["reject", ["not now"], { name: "reject", status: 603, reason: "not now" }],
  ["reject", ["200 OK"], { name: "reject", status: 603, reason: "200 OK" }],
  ["reject", ["302 Moved"], { name: "reject", status: 603, reason: "302 Moved" }],
  ["reject", ["486 Busy\r\nEvil: 1"], { name: "reject", status: 486, reason: "Busy Evil: 1" }],
  ["bye", [], { name: "bye" }],
  ["bye", ["whatever"], { name: "bye" }],
  ["sendDTMF", ["5"], { name: "sendDTMF", digits: "5", durationMs: 160 }],
  ["sendDTMF", [5], { name: "sendDTMF", digits: "5", durationMs: 160 }],
  ["sendDTMF", ["12*#ad", 100], { name: "sendDTMF", digits: "12*#AD", durationMs: 100 }],
  ["sendDTMF", ["0", 8000], { name: "sendDTMF", digits: "0", durationMs: 8000 }],
  ["hold", [true], { name: "hold", on: true }],
  ["hold", [false], { name: "hold", on: false }],
  ["sendMessage", ["a\nb \u00e9"], { name: "sendMessage", text: "a\nb \u00e9" }],
  ["sendPagingMessage", ["sip:bob@h", "hi"], {
    name: "sendPagingMessage",
    destination: "sip:bob@h",
    text: "hi",
  }],
];

Deno.test("every command of the API is read with its arguments", () => {
  for (const [name, args, command] of accepted) assert.deepEqual(commandOf(name, ...args), command);
});

const refused: [name: string, args: unknown[], reason: RegExp][] = [
  ["invite", [], /^invite: the destination is missing$/],
  ["invite", [null, "wideband"], /destination is missing/],
  ["invite", ["  "], /destination is missing/],
  ["invite", [7140], /destination must be text/],
  ["invite", ["bob@h\r\nEvil: 1"], /control characters/],
  ["invite", ["x".repeat(1025)], /longer than 1024/],
  ["invite", ["bob@h", 8], /a codec must be text/],
  ["invite", ["bob@h", ""], /a codec has no name/],
  ["accept", Array(33).fill("pcmu"), /more than 32 codecs/],
  ["reject", [486], /reason must be text/],
  ["sendDTMF", [], /the digits must be/],
  ["sendDTMF", [""], /the digits must be/],
  ["sendDTMF", ["5x"], /the digits must be/],
  ["sendDTMF", [-1], /the digits must be/],
  ["sendDTMF", ["1".repeat(65)], /1 to 64/],
  ["sendDTMF", ["1", 10], /duration must be 40 to 8000 ms/],
  ["sendDTMF", ["1", NaN], /duration/],
  ["sendDTMF", ["1", "100"], /duration/],
  ["hold", [], /must be true or false/],
  ["hold", [1], /must be true or false/],
  ["sendMessage", [], /text is missing/],
  ["sendMessage", ["x".repeat(16385)], /longer than 16384/],
  ["sendPagingMessage", ["bob@h"], /text is missing/],
  ["sendPagingMessage", [null, "hi"], /destination is missing/],
];

Deno.test("a bad argument is refused with the command and the argument named", () => {
  for (const [name, args, reason] of refused) assert.match(refusalOf(name, ...args), reason);
});

Deno.test("only the whitelist can be called (behaviour 1.11, defect 15)", () => {
  const others = [
    "register",
    "unregister",
    "data",
    "handle",
    "constructor",
    "__proto__",
    "toString",
    "Invite",
    "",
  ];
  for (const name of others) assert.match(refusalOf(name, "x"), /^there is no command/);
  assert.equal(refusalOf("evil\r\nname").includes("\n"), false);
  assert.ok(refusalOf("x".repeat(100_000)).length < 200);
});

Deno.test("whatever a client sends is answered by a value, never an exception", () => {
  const names = fc.oneof(fc.string(), fc.constantFrom(...accepted.map(([name]) => name)));
  fc.assert(fc.property(names, fc.array(fc.anything()), (name, args) => {
    const parsed = parseCommand(name, args);
    if (parsed.type === "refused") assert.doesNotMatch(parsed.reason, /[\r\n]/);
    else if (parsed.command.name === "reject") {
      assert.ok(parsed.command.status >= 400 && parsed.command.status <= 699);
      assert.doesNotMatch(parsed.command.reason, /\p{Cc}/u);
    }
  }));
});
