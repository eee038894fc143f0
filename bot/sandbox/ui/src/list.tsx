import { useEffect, useLayoutEffect, useRef, useState, type ReactElement } from "react";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import { clock, formatDate, moment, sameDay } from "./blocks/dates";
import { useDirectory } from "./context";
import { MessageRow } from "./message";
import { hasJustSent } from "./sent";
import type { Message } from "./types";

const together = 300;
/** Nearer to an end than this, in pixels, is at it. */
const near = 80;
const aboveBeforeLoading = 600;

function follows(message: Message, before: Message | undefined): boolean {
  return (
    before !== undefined &&
    before.user === message.user &&
    before.from === message.from &&
    !before.ephemeral_for &&
    !message.ephemeral_for &&
    message.subtype !== "thread_broadcast" &&
    !before.reply_count &&
    Number(message.ts) - Number(before.ts) < together &&
    sameDay(moment(message.ts), moment(before.ts))
  );
}

type Props = {
  messages: Message[];
  hasMore: boolean;
  onOlder: () => Promise<void>;
  onThread: (ts: string) => void;
  /** Between these two, messages were not yet seen when one came here. */
  unreadAfter: string;
  unreadUpTo: string;
};

/** What a screen reader is told of a new message. The list itself keeps silent, since scrolling adds to it too. */
function Announced({ message }: { message: Message | undefined }) {
  const { users, botName, me } = useDirectory();
  const first = useRef(message?.ts);
  if (!message || message.ts === first.current || message.user === me.id) return <div className="away" role="status" />;
  const name = users.find((user) => user.id === message.user)?.real_name ?? botName;
  return <div className="away" role="status">{`New message from ${name}, ${clock(moment(message.ts))}`}</div>;
}

/** A channel's messages. Only those in sight, and a few around them, stand in the page; older ones come as one scrolls up. */
export function MessageList({ messages, hasMore, onOlder, onThread, unreadAfter, unreadUpTo }: Props) {
  const { ahead, me } = useDirectory();
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const stuck = useRef(true);
  const first = messages[0]?.ts;
  const drawnFirst = useRef(first);
  // Rows that came above must not move what is in sight.
  const comesAbove = first !== undefined && drawnFirst.current !== undefined && Number(first) < Number(drawnFirst.current);
  const [below, setBelow] = useState(false);
  const [loading, setLoading] = useState(false);
  const newest = messages.at(-1);
  const isNew = ({ ts, user }: Message) => Number(ts) > Number(unreadAfter) && Number(ts) <= Number(unreadUpTo) && user !== me.id;
  const firstNew = messages.findIndex(isNew);
  const now = new Date(Date.now() + ahead);

  const rows: ReactElement[] = [];
  messages.forEach((message, at) => {
    const before = messages[at - 1];
    const date = moment(message.ts);
    const isNewDay = !before || !sameDay(moment(before.ts), date);
    rows.push(
      <div key={message.ts} className="row">
        {isNewDay && (
          <div className={`day ${at === firstNew ? "day-new" : ""}`} role="separator">
            <span>{formatDate("{Day_divider_pretty}", date, now)}</span>{at === firstNew && <span className="new">New</span>}
          </div>
        )}
        {at === firstNew && !isNewDay && <div className="fresh" role="separator"><span className="new">New</span></div>}
        <MessageRow message={message} follows={!isNewDay && at !== firstNew && follows(message, before)} onThread={onThread} />
      </div>,
    );
  });

  const toEnd = () => list.current?.scrollToIndex(rows.length - 1, { align: "end", offset: 2 * near });
  const latest = useRef(toEnd);
  latest.current = toEnd;
  useLayoutEffect(() => {
    drawnFirst.current = first;
  }, [first]);
  // The window, a picture or a card that grows must not push the end out of sight.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    const watcher = new ResizeObserver(() => stuck.current && latest.current());
    watcher.observe(box);
    if (box.lastElementChild) watcher.observe(box.lastElementChild);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    if (!newest) return;
    // What one has just asked for is seen at once, wherever one was reading.
    if (stuck.current || newest.user === me.id || ("ephemeral_for" in newest && hasJustSent())) {
      stuck.current = true;
      toEnd();
    } else {
      setBelow(true);
    }
  }, [newest?.ts]);

  const older = async () => {
    if (loading) return;
    setLoading(true);
    await onOlder().finally(() => setLoading(false));
  };
  const onScroll = (offset: number) => {
    const box = scroller.current;
    if (!box) return;
    stuck.current = box.scrollHeight - box.scrollTop - box.clientHeight < near;
    if (stuck.current) setBelow(false);
    else if (hasMore && offset < aboveBeforeLoading) void older();
  };
  return (
    <div className="list-frame">
      {/* Charts have a heading of the third level. */}
      <h2 className="away">Messages</h2>
      <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label="Channel">
        <div className="above">
          {hasMore && <button type="button" className="link earlier" onClick={() => void older()}>{loading ? "Loading…" : "Show earlier messages"}</button>}
          {messages.length === 0 && <p className="faint empty">No messages yet.</p>}
        </div>
        <div className="messages" role="log" aria-live="off" aria-label="Messages">
          <Virtualizer ref={list} scrollRef={scroller} shift={comesAbove} onScroll={onScroll} bufferSize={600}>{rows}</Virtualizer>
        </div>
      </div>
      <Announced message={newest} />
      {below && <button type="button" className="button solid primary jump" onClick={toEnd}>New messages below</button>}
    </div>
  );
}
