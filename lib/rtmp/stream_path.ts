// Programs cut one URL into the `app` of connect and a stream's name wherever they like (OBS: live + room/cam, ffmpeg:
// live/room + cam), leave either empty, double slashes, or give the whole URL as the name. Here it is one path again.
// Role: wire

/** Longest app and name together, in characters; those of real programs are far shorter. */
export const MAX_STREAM_PATH_LENGTH = 2048;

/**
 * The path of a stream: segments without empty ones, joined by single slashes, percent-encoding as written. A whole
 * URL as the name counts alone. "" when nothing is named; null when it is too long.
 */
export function joinStreamPath(app: string, name: string): string | null {
  if (app.length + name.length > MAX_STREAM_PATH_LENGTH) return null;
  const inUrl = pathOfUrl(name);
  const pieces = inUrl !== null ? inUrl : `${pathOfUrl(app) ?? app}/${name}`;
  return pieces.split("/").filter((segment) => segment !== "").join("/");
}

/** What follows the host in rtmp://host/path, rtmps://..., rtmpt://...; null for anything else. */
function pathOfUrl(text: string): string | null {
  const scheme = /^rtmp[a-z]{0,3}:\/\//i.exec(text);
  if (scheme === null) return null;
  const slash = text.indexOf("/", scheme[0].length);
  return slash < 0 ? "" : text.slice(slash + 1);
}
