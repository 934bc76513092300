import assert from "node:assert/strict";
import { openLog } from "../../../lib/base/log.ts";
import { quietWire } from "../../../lib/tools/sipd/quiet_wire.ts";

for (
  const { verbosity, shown } of [{ verbosity: "debug", shown: false }, {
    verbosity: "trace",
    shown: true,
  }] as const
) {
  Deno.test(`at ${verbosity} SIP messages are ${shown ? "shown" : "left out"}, everything else is shown`, async () => {
    const lines: string[] = [];
    const { log, close } = openLog({ verbosity, write: (line) => lines.push(line.replace(/^\S+ /, "")) });
    const quiet = quietWire(log).child("sipd");
    quiet.category("sip.wire").debug("INVITE");
    quiet.category("sip").category("sip.wire").child("echo").debug("INVITE");
    for (const level of ["error", "warn", "info", "debug"] as const) {
      quiet.category("sip")[level]("told", "why");
    }
    assert.deepEqual(lines.filter((line) => line.includes("sip.wire")).length, shown ? 2 : 0);
    const others = lines.filter((line) => !line.includes("sip.wire"));
    assert.deepEqual(
      others,
      ["error", "warn ", "info ", "debug"].map((level) => `${level} sip       sipd: told: why`),
    );
    assert.equal(quiet.category("sip").enabled("trace"), verbosity === "trace");
    await close();
  });
}
