// The log of the built-in numbers: all but the text of their SIP messages, which are the proxy's messages once
// more. With -D they are shown as well.
// Role: wire

import { type Logger, silentLog } from "../../base/log.ts";

/** The same log, without SIP messages unless everything is logged. */
export function quietWire(log: Logger): Logger {
  return {
    enabled: (level) => log.enabled(level),
    error: (text, detail) => log.error(text, detail),
    warn: (text, detail) => log.warn(text, detail),
    info: (text, detail) => log.info(text, detail),
    debug: (text, detail) => log.debug(text, detail),
    trace: (text, detail) => log.trace(text, detail),
    child: (name) => quietWire(log.child(name)),
    category: (category) => {
      const chosen = log.category(category);
      const hidden = category === "sip.wire" && !chosen.enabled("trace");
      return hidden ? silentLog : quietWire(chosen);
    },
  };
}
