// H.264 in SDP (RFC 6184 8.1, 8.2.2): profile-level-id, packetization-mode, and what an answer may say.
// A stream is passed through, never re-encoded, so the profile must be one both sides named. Baseline and
// constrained baseline count as one family: what either encodes without arbitrary slice order, the other decodes.
// Role: wire

import { formatFmtp, parseFmtp } from "./fmtp.ts";

/** Profiles as RFC 6184 table 5 tells them apart, several spellings of each. */
export type H264Profile =
  | "constrained-baseline"
  | "baseline"
  | "main"
  | "extended"
  | "constrained-high"
  | "high"
  | "other";

/** What the parameters of an H.264 format say. */
interface H264Parameters {
  readonly profile: H264Profile;
  /** profile_idc, e.g. 0x42. */
  readonly profileIdc: number;
  readonly profileIop: number;
  /** level_idc, e.g. 31 for level 3.1; 9 for level 1b. */
  readonly level: number;
  /** 0 single NAL unit, 1 non-interleaved, 2 interleaved. */
  readonly packetizationMode: number;
  readonly levelAsymmetryAllowed: boolean;
  /** The base64 texts of sprop-parameter-sets, in order. */
  readonly parameterSets: readonly string[];
}

/** What a missing profile-level-id stands for: baseline, level 1 (RFC 6184 8.1). */
const DEFAULT_PROFILE_LEVEL_ID = "42000a";

const LEVEL_1B = 9;

/** profile_idc, bits of profile-iop that count, their value -> profile; the first match wins. */
const PROFILES: readonly (readonly [idc: number, mask: number, value: number, H264Profile])[] = [
  [0x42, 0x4f, 0x40, "constrained-baseline"],
  [0x4d, 0x8f, 0x80, "constrained-baseline"],
  [0x58, 0xcf, 0xc0, "constrained-baseline"],
  [0x42, 0x4f, 0x00, "baseline"],
  [0x58, 0xcf, 0x80, "baseline"],
  [0x4d, 0xaf, 0x00, "main"],
  [0x58, 0xcf, 0x00, "extended"],
  [0x64, 0xff, 0x0c, "constrained-high"],
  [0x64, 0xff, 0x00, "high"],
];

/** Reads the parameters; a broken or missing profile-level-id stands for baseline level 1. */
export function parseH264Parameters(fmtp: string | null): H264Parameters {
  const parameters = parseFmtp(fmtp);
  const written = parameters.get("profile-level-id") ?? "";
  const id = parseInt(/^[0-9a-f]{6}$/i.test(written) ? written : DEFAULT_PROFILE_LEVEL_ID, 16);
  const profileIdc = id >>> 16;
  const profileIop = id >>> 8 & 0xff;
  const mode = parameters.get("packetization-mode") ?? "0";
  return {
    profile: profileOf(profileIdc, profileIop),
    profileIdc,
    profileIop,
    level: levelOf(profileIdc, profileIop, id & 0xff),
    packetizationMode: /^[0-2]$/.test(mode) ? Number(mode) : 0,
    levelAsymmetryAllowed: parameters.get("level-asymmetry-allowed") === "1",
    parameterSets: (parameters.get("sprop-parameter-sets") ?? "").split(",", 32).filter((set) => set !== ""),
  };
}

function profileOf(idc: number, iop: number): H264Profile {
  for (const [profileIdc, mask, value, profile] of PROFILES) {
    if (idc === profileIdc && (iop & mask) === value) return profile;
  }
  return "other";
}

/** Level 1b is written as level 11 with constraint_set3 in the older profiles (RFC 6184 8.1). */
function levelOf(idc: number, iop: number, level: number): number {
  const older = idc === 0x42 || idc === 0x4d || idc === 0x58;
  return older && level === 11 && (iop & 0x10) !== 0 ? LEVEL_1B : level;
}

/** Levels in rising order: 1b lies between 1.0 and 1.1. */
function levelRank(level: number): number {
  return level === LEVEL_1B ? 10.5 : level;
}

/**
 * Whether two sides can exchange a stream: same profile or both of the baseline family, and packetization
 * modes that go together. Modes 0 and 1 do, on the terms of mode 0, since every receiver of mode 1 understands
 * single NAL units; interleaved mode only with itself (RFC 6184 8.2.2).
 */
export function compatibleH264(a: string | null, b: string | null): boolean {
  const first = parseH264Parameters(a);
  const second = parseH264Parameters(b);
  if ((first.packetizationMode === 2) !== (second.packetizationMode === 2)) return false;
  const family = familyOf(first.profile);
  if (family !== familyOf(second.profile)) return false;
  // constraint_set3 may stand for level 1b and says nothing about the profile then.
  return family !== "other" ||
    first.profileIdc === second.profileIdc && (first.profileIop | 0x10) === (second.profileIop | 0x10);
}

function familyOf(profile: H264Profile): H264Profile {
  return profile === "constrained-baseline" ? "baseline" : profile;
}

/** The profiles a decoder of each profile takes, its own left out. */
const TAKES: Readonly<Record<H264Profile, readonly H264Profile[]>> = {
  "constrained-baseline": ["baseline"],
  "baseline": ["constrained-baseline"],
  "main": ["constrained-baseline", "baseline"],
  "extended": ["constrained-baseline", "baseline"],
  "constrained-high": ["constrained-baseline", "baseline"],
  "high": ["constrained-baseline", "baseline", "main", "constrained-high"],
  "other": [],
};

/**
 * What keeps a decoder that named `taken` from a stream of `sent`: its profile (ITU-T H.264 A.2), else its level;
 * null when nothing does.
 */
export function h264Mismatch(sent: H264Parameters, taken: H264Parameters): "profile" | "level" | null {
  const same = sent.profile === taken.profile &&
    (sent.profile !== "other" || sent.profileIdc === taken.profileIdc);
  if (!same && !TAKES[taken.profile].includes(sent.profile)) return "profile";
  return levelRank(sent.level) > levelRank(taken.level) ? "level" : null;
}

/** For people: "constrained-baseline 3.1 (42e01f)". */
export function describeH264(parameters: H264Parameters): string {
  const { profile, profileIdc, level } = parameters;
  const name = profile === "other" ? `profile ${profileIdc}` : profile;
  const number = level === LEVEL_1B ? "1b" : `${Math.floor(level / 10)}.${level % 10}`;
  return `${name} ${number} (${formatProfileLevelId(parameters, level)})`;
}

/** Parameters that allow for a stream of this profile-level-id: their level, or its own where that is higher. */
export function withLevelOf(fmtp: string | null, sentId: string): string {
  const ours = parseH264Parameters(fmtp);
  const { level } = parseH264Parameters(`profile-level-id=${sentId}`);
  const parameters = new Map(parseFmtp(fmtp));
  if (levelRank(level) > levelRank(ours.level)) {
    parameters.set("profile-level-id", formatProfileLevelId(ours, level));
  }
  return formatFmtp(parameters);
}

/** Parameters without the parameter sets, which belong to the side that wrote them. */
export function withoutSprop(fmtp: string | null): string | null {
  const parameters = new Map(parseFmtp(fmtp));
  return parameters.delete("sprop-parameter-sets") ? formatFmtp(parameters) : fmtp;
}

/** The packetization mode both sides can take: the lower of the two. */
export function agreedPacketizationMode(local: string | null, remote: string | null): number {
  const mine = parseH264Parameters(local).packetizationMode;
  return Math.min(mine, parseH264Parameters(remote).packetizationMode);
}

/**
 * The fmtp of our answer to an offered H.264 format: the offer's profile and packetization mode (they must be
 * equal on both sides), the lower level unless both allow asymmetry, our own parameter sets.
 */
export function answerH264Fmtp(offered: string | null, local: string | null): string {
  const theirs = parseH264Parameters(offered);
  const ours = parseH264Parameters(local);
  const asymmetric = theirs.levelAsymmetryAllowed && ours.levelAsymmetryAllowed;
  const lower = levelRank(ours.level) < levelRank(theirs.level) ? ours.level : theirs.level;
  const level = asymmetric ? ours.level : lower;
  const answer = new Map([
    ["profile-level-id", formatProfileLevelId(theirs, level)],
    ["packetization-mode", String(theirs.packetizationMode)],
  ]);
  if (asymmetric) answer.set("level-asymmetry-allowed", "1");
  if (ours.parameterSets.length > 0) answer.set("sprop-parameter-sets", ours.parameterSets.join(","));
  return formatFmtp(answer);
}

function formatProfileLevelId(profile: H264Parameters, level: number): string {
  const older = profile.profileIdc === 0x42 || profile.profileIdc === 0x4d || profile.profileIdc === 0x58;
  const oneB = older && level === LEVEL_1B;
  // Bit 0x10 only means 1b together with level 11; any other level leaves it as offered, except a plain 11.
  let iop = profile.profileIop;
  if (oneB) iop |= 0x10;
  else if (older && level === 11) iop &= ~0x10;
  const id = profile.profileIdc << 16 | iop << 8 | (oneB ? 11 : level);
  return id.toString(16).padStart(6, "0");
}
