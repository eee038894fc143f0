/** For how long what comes for me alone is taken for the answer to what I sent, in milliseconds. */
const answersWithin = 10_000;

let sentAt = -Infinity;

/** Notes that a command was sent: its answer is to be seen. */
export function noteSent(): void {
  sentAt = performance.now();
}

export const hasJustSent = (): boolean => performance.now() - sentAt < answersWithin;
