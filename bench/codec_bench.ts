// What each codec costs beside its native library, in the same run: one second of speech, same frames, same settings.
// The native libraries are Debian's; `apt-get install gcc libspeex-dev libspeexdsp-dev libopus-dev libfaad-dev
// libvo-aacenc-dev`. What is not there is said in one line, and only our side is measured.

import { loadCodecs } from "../lib/codecs/load.ts";
import { openComparisons } from "./native/comparisons.ts";

const codecs = await loadCodecs();
const comparisons = codecs.missing.length > 0 ? [] : await openComparisons(codecs);
for (const reason of new Set(comparisons.map((one) => one.reason))) {
  if (reason !== "") Deno.stderr.writeSync(new TextEncoder().encode(`${reason}\n`));
}

for (const { name, ours, native } of comparisons) {
  Deno.bench({ name: `${name}: ours`, group: name }, ours);
  Deno.bench(
    { name: `${name}: native`, group: name, baseline: true, ignore: native === null },
    native ?? ours,
  );
}
