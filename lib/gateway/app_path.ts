// The path of an RTMP connect: "sip/alice@example.com" or "sip/alice@example.com/anything".
// The first element chooses the application; the address is the user's SIP identity; a suffix lets
// several clients use one address without replacing each other (siprtmp FAQ, "/random").
// Role: wire
// Answers to: the app look-up of rtmp.py and the scope rule of siprtmp.py.

/** What an RTMP connect path asks for. `key` identifies clients that replace each other. */
export type AppPath =
  | { type: "sip"; address: string; key: string }
  | { type: "rejected"; reason: string };

/** Longest path accepted; a SIP address is far shorter. */
const MAX_PATH_LENGTH = 512;

/** Parses the `app` of a connect command; never throws, a refusal is a value. */
export function parseAppPath(app: string): AppPath {
  const path = app.replace(/^\/+|\/+$/g, "");
  if (path === "") return rejected("the path is empty");
  if (path.length > MAX_PATH_LENGTH) return rejected("the path is too long");
  const [name = "", address = "", ...suffix] = path.split("/");
  if (name !== "sip") return rejected(`there is no application "${name.slice(0, 40)}"`);
  if (address === "") return rejected("the SIP address is missing");
  const decoded = decodePercent(address);
  if (decoded === null || !/^[^@\s<>"]+@[^@\s<>"]+$/.test(decoded)) {
    return rejected(`"${address.slice(0, 80)}" is not a SIP address like alice@example.com`);
  }
  const host = decoded.slice(decoded.indexOf("@") + 1).toLowerCase();
  const user = decoded.slice(0, decoded.indexOf("@"));
  return { type: "sip", address: decoded, key: ["sip", `${user}@${host}`, ...suffix].join("/") };
}

function rejected(reason: string): AppPath {
  return { type: "rejected", reason: `${reason}; connect to rtmp://this-host/sip/user@domain` };
}

function decodePercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
