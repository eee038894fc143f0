import { memo, useMemo, useState } from "react";
import { Blocks } from "./blocks/draw";
import { clock, full, moment } from "./blocks/dates";
import { useDirectory } from "./context";
import { FileCard } from "./file";
import { Eye } from "./icons";
import { isOwn } from "./links";
import { Shortcuts } from "./shortcuts";
import { Form } from "./state";
import { SurfaceProvider } from "./surface";
import type { Block, Message, User } from "./types";

const initials = (name: string): string => name.split(/[\s._-]+/).slice(0, 2).map((word) => word.charAt(0).toUpperCase()).join("");
const hue = (id: string): number => [...id].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 360, 7);

export function Avatar({ user, isBot, size = 36 }: { user: Pick<User, "id" | "name" | "real_name" | "image">; isBot: boolean; size?: number }) {
  const style = { width: size, height: size, fontSize: size * 0.4 };
  if (user.image && isOwn(user.image)) return <img className="avatar" src={user.image} alt="" style={style} />;
  if (isBot) {
    return (
      <span className="avatar avatar-bot" style={style} aria-hidden="true">
        <svg viewBox="0 0 36 36" width="100%" height="100%"><rect x="11" y="6" width="14" height="24" rx="3" fill="#fff" /><path d="m14.5 18 2.5 2.5 4.5-5" fill="none" stroke="#1264a3" strokeWidth="2.2" /></svg>
      </span>
    );
  }
  return <span className="avatar" style={{ ...style, background: `hsl(${hue(user.id)} 42% 33%)` }} aria-hidden="true">{initials(user.real_name || user.name)}</span>;
}

const none: Block[] = [];

function Content({ message }: { message: Message }) {
  const [form] = useState(() => new Form());
  const blocks = useMemo<Block[]>(
    () => (message.blocks?.length ? message.blocks : message.text ? [{ type: "section", text: { type: "mrkdwn", text: message.text } }] : none),
    [message],
  );
  const { channel, ts } = message;
  const container = useMemo(() => ({ type: "message" as const, channel, ts }), [channel, ts]);
  return (
    <SurfaceProvider container={container} channel={channel} form={form} blocks={blocks}>
      {blocks.length > 0 && <Blocks blocks={blocks} />}
      {message.edited && <span className="faint edited">(edited)</span>}
      {message.files?.map((file) => <FileCard key={file.id} file={file} />)}
    </SurfaceProvider>
  );
}

type Props = { message: Message; follows: boolean; inThread?: boolean; onThread?: (ts: string) => void };

function senderOf(message: Message, users: User[], botName: string): Pick<User, "id" | "name" | "real_name" | "image"> {
  if (message.from === "slackbot") return { id: "USLACKBOT", name: "Slackbot" };
  const user = users.find((other) => other.id === message.user);
  return user ?? { id: message.user, name: message.from === "bot" ? botName : message.user };
}

/** One message. `follows`: its author also wrote the one above, so that the head is left out. */
export const MessageRow = memo(function MessageRow({ message, follows, inThread = false, onThread }: Props) {
  const { users, botName } = useDirectory();
  const sender = senderOf(message, users, botName);
  const at = moment(message.ts);
  const isBot = message.from !== "person";
  const name = isBot ? sender.name : sender.real_name || sender.name;
  const replies = message.reply_count ?? 0;
  const time = <time dateTime={at.toISOString()} title={full(at)}>{clock(at)}</time>;
  const thread = message.thread_ts ?? message.ts;
  return (
    <article className={`message ${message.ephemeral_for ? "ephemeral" : ""} ${follows ? "follows" : ""}`} data-ts={message.ts} aria-label={`${name}, ${clock(at)}`}>
      <div className="gutter">{follows ? time : <Avatar user={sender} isBot={isBot} />}</div>
      <div className="message-body">
        {message.ephemeral_for && <div className="only-you"><Eye size={14} /> Only visible to you</div>}
        {!follows && <div className="message-head"><strong>{name}</strong>{message.from === "bot" && <span className="badge">App</span>}{time}</div>}
        {message.subtype === "thread_broadcast" && !inThread && (
          <button type="button" className="link" onClick={() => onThread?.(thread)}>replied to a thread</button>
        )}
        <Content message={message} />
        {replies > 0 && !inThread && (
          <button type="button" className="replies" onClick={() => onThread?.(message.ts)}>
            {replies} {replies === 1 ? "reply" : "replies"}
            {message.latest_reply && <span className="faint"> Last reply {clock(moment(message.latest_reply))}</span>}
          </button>
        )}
      </div>
      {!message.ephemeral_for && (
        <div className="message-tools">
          {!inThread && onThread && <button type="button" className="icon" onClick={() => onThread(thread)}>Reply in thread</button>}
          {message.from !== "slackbot" && <Shortcuts kind="message" at={{ channel: message.channel, ts: message.ts }} />}
        </div>
      )}
    </article>
  );
});
