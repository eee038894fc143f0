import { Fragment, useMemo, type ReactNode } from "react";
import { useDirectory, type Directory } from "../context";
import { safe } from "../links";
import type { Text } from "../types";
import { formatDate, full } from "./dates";
import { mrkdwn, plain, type Inline, type Piece } from "./mrkdwn";

export function Link({ href, children }: { href: string; children: ReactNode }) {
  const address = safe(href);
  return address ? <a href={address} target="_blank" rel="noopener noreferrer nofollow">{children}</a> : <span>{children}</span>;
}

export function Time({ stamp, format }: { stamp: number; format: string }) {
  const { ahead } = useDirectory();
  const moment = new Date(stamp * 1000);
  if (Number.isNaN(moment.getTime())) return <>{format}</>;
  return <time dateTime={moment.toISOString()} title={full(moment)}>{formatDate(format, moment, new Date(Date.now() + ahead))}</time>;
}

export function UserMention({ id }: { id: string }) {
  const { users, me } = useDirectory();
  const user = users.find((other) => other.id === id);
  return <span className={`mention ${id === me.id ? "mention-me" : ""}`}>@{user?.name ?? id}</span>;
}

export function ChannelMention({ id }: { id: string }) {
  const { channels, goTo } = useDirectory();
  const channel = channels.find((other) => other.id === id);
  return channel ? <button type="button" className="mention" onClick={() => goTo(id)}>#{channel.name}</button> : <span className="mention">#{id}</span>;
}

export function GroupMention({ id }: { id: string }) {
  const { usergroups, me } = useDirectory();
  const group = usergroups.find((other) => other.id === id);
  return <span className={`mention ${group?.users?.includes(me.id) ? "mention-me" : ""}`}>@{group?.handle ?? id}</span>;
}

/** The hooks with which the drawing library asks back for names, dates and links. */
export const hooks = {
  user: ({ id }: { id: string }) => <UserMention id={id} />,
  channel: ({ id }: { id: string }) => <ChannelMention id={id} />,
  usergroup: ({ id }: { id: string }) => <GroupMention id={id} />,
  atHere: () => <span className="mention mention-me">@here</span>,
  atChannel: () => <span className="mention mention-me">@channel</span>,
  atEveryone: () => <span className="mention mention-me">@everyone</span>,
  date: ({ timestamp, format }: { timestamp: string; format: string }) => <Time stamp={Number(timestamp)} format={format} />,
  link: ({ href, children }: { href: string; children: ReactNode }) => <Link href={href}>{children}</Link>,
};

function bareInline(part: Inline): ReactNode {
  switch (part.type) {
    case "user":
      return <UserMention id={String(part.user_id)} />;
    case "channel":
      return <ChannelMention id={String(part.channel_id)} />;
    case "usergroup":
      return <GroupMention id={String(part.usergroup_id)} />;
    case "broadcast":
      return <span className="mention mention-me">@{String(part.range)}</span>;
    case "date":
      return <Time stamp={Number(part.timestamp)} format={String(part.format)} />;
    case "link":
      return <Link href={String(part.url)}>{String(part.text)}</Link>;
    default:
      return String(part.text ?? "");
  }
}

function InlinePart({ part }: { part: Inline }) {
  const { style } = part;
  let drawn = bareInline(part);
  if (style?.code) drawn = <code>{drawn}</code>;
  if (style?.strike) drawn = <s>{drawn}</s>;
  if (style?.italic) drawn = <em>{drawn}</em>;
  return style?.bold ? <strong>{drawn}</strong> : <>{drawn}</>;
}

const pieces = (text: Text): Piece[] => (text.type === "mrkdwn" ? mrkdwn(text.text) : plain(text.text));

/** A text inside a line of the page's own (labels, options, context), where a drawn block would not fit. */
export function TextPieces({ text }: { text: Text }) {
  const parts = useMemo(() => pieces(text), [text]);
  return (
    <span className="pieces">
      {parts.map((piece, at) => (
        <Fragment key={at}>{at > 0 && "\n"}{piece.elements.map((part, index) => <InlinePart key={index} part={part} />)}</Fragment>
      ))}
    </span>
  );
}

export const richText = (text: Text): { type: "rich_text"; elements: Piece[] } => ({ type: "rich_text", elements: pieces(text) });

export function sizeWords(bytes: number | undefined): string {
  if (bytes === undefined) return "";
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export const libraryData = ({ users, channels, usergroups }: Directory) => ({
  users: users.map(({ id, name }) => ({ id, name })),
  channels: channels.map(({ id, name }) => ({ id, name })),
  user_groups: usergroups.map(({ id, handle }) => ({ id, name: handle })),
});
