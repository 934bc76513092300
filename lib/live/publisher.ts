// Who publishes a stream, and who may take its place: an encoder that comes back after its network was gone finds its own
// dead connection there, for as long as that is not noticed.
// Role: edge

/** What happens to who publishes a stream that somebody else publishes. */
export type OnBusyPolicy = "replace" | "reject";

/** All policies, the default first. */
export const onBusyPolicies: readonly OnBusyPolicy[] = ["replace", "reject"];

/** What a publisher is known by, for as long as its connection lasts. */
export interface PublisherConnection {
  /** The user, token or key it has shown; null: nothing was asked. */
  readonly proof: string | null;
  /** Whether it is heard within a few seconds. */
  answers(): Promise<boolean>;
}

export interface Publisher extends PublisherConnection {
  /** Its stream ends, and it is told why. */
  replaced(): void;
}

export const REPLACED = "a newer connection publishes this stream";

/**
 * Whether a newcomer takes the place of who is there: at once when it has shown the same user, token or key, and that is the
 * policy; else when who is there does not answer any more.
 */
export async function mayReplace(
  policy: OnBusyPolicy,
  there: PublisherConnection,
  newcomer: PublisherConnection,
): Promise<boolean> {
  if (policy === "replace" && there.proof !== null && there.proof === newcomer.proof) return true;
  return !await there.answers();
}
