import type { Channel, Message, Snapshot, View } from "./types";

export type Events =
  | { type: "snapshot"; snapshot: Snapshot }
  | { type: "message"; channel: string; message: Message }
  | { type: "message_gone"; channel: string; ts: string }
  | { type: "older"; channel: string; messages: Message[]; more: boolean }
  | { type: "views"; views: View[] }
  | { type: "home"; view: View }
  | { type: "channel"; channel: Channel };

export const byTs = (a: string, b: string): number => Number(a) - Number(b);

/** `messages` with `message` in its place by `ts`; it replaces the one with the same `ts`. */
export function placed(messages: Message[], message: Message): Message[] {
  let at = messages.length;
  while (at > 0 && byTs(messages[at - 1]!.ts, message.ts) >= 0) at -= 1;
  const isKnown = messages[at]?.ts === message.ts;
  return [...messages.slice(0, at), message, ...messages.slice(isKnown ? at + 1 : at)];
}

function withMessages(state: Snapshot, channel: string, change: (messages: Message[]) => Message[]): Snapshot {
  return { ...state, messages: { ...state.messages, [channel]: change(state.messages[channel] ?? []) } };
}

/** What the page shows: the stand-in's snapshot, kept up to date by its events. */
export function reduce(state: Snapshot | null, event: Events): Snapshot | null {
  if (event.type === "snapshot") return event.snapshot;
  if (!state) return state;
  switch (event.type) {
    case "message":
      return withMessages(state, event.channel, (messages) => placed(messages, event.message));
    case "message_gone":
      return withMessages(state, event.channel, (messages) => messages.filter((message) => message.ts !== event.ts));
    case "older":
      return {
        ...withMessages(state, event.channel, (messages) => event.messages.reduceRight(placed, messages)),
        more: { ...state.more, [event.channel]: event.more },
      };
    case "views":
      return { ...state, views: event.views };
    case "home":
      return { ...state, home: event.view };
    case "channel": {
      const isKnown = state.channels.some((channel) => channel.id === event.channel.id);
      const channels = state.channels.map((channel) => (channel.id === event.channel.id ? event.channel : channel));
      return { ...state, channels: isKnown ? channels : [...channels, event.channel] };
    }
  }
}

export const isReply = (message: Message): boolean => Boolean(message.thread_ts) && message.thread_ts !== message.ts;
export const inChannel = (message: Message): boolean => !isReply(message) || message.subtype === "thread_broadcast";
