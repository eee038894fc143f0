import { Fragment, useEffect, useLayoutEffect, useRef, useState } from "react";
import { formatDate, moment, sameDay } from "./blocks/dates";
import { useDirectory } from "./context";
import { MessageRow } from "./message";
import type { Message } from "./types";

const together = 300;
const step = 100;
const near = 80;

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
  /** Messages after this one were not yet seen when the channel was opened. */
  readUpTo: string;
};

/** A channel's messages. Only the newest are in the page; older ones come as one scrolls up. */
export function MessageList({ messages, hasMore, onOlder, onThread, readUpTo }: Props) {
  const { ahead, me } = useDirectory();
  const scroller = useRef<HTMLDivElement>(null);
  const top = useRef<HTMLButtonElement>(null);
  const stuck = useRef(true);
  const [shown, setShown] = useState(step);
  const [below, setBelow] = useState(false);
  const [loading, setLoading] = useState(false);
  const visible = messages.slice(-shown);
  const canGrow = messages.length > shown || hasMore;
  const newest = messages.at(-1);

  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    const toEnd = () => {
      if (stuck.current) box.scrollTop = box.scrollHeight;
    };
    toEnd();
    const watcher = new ResizeObserver(toEnd);
    watcher.observe(box);
    if (box.firstElementChild) watcher.observe(box.firstElementChild);
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box || !newest) return;
    if (stuck.current || newest.user === me.id) {
      stuck.current = true;
      box.scrollTop = box.scrollHeight;
    } else {
      setBelow(true);
    }
  }, [newest?.ts]);

  const grow = async () => {
    if (loading) return;
    if (messages.length <= shown) {
      setLoading(true);
      await onOlder().finally(() => setLoading(false));
    }
    setShown((count) => count + step);
  };
  const latest = useRef(grow);
  latest.current = grow;
  useEffect(() => {
    if (!top.current) return undefined;
    const watcher = new IntersectionObserver(([entry]) => entry?.isIntersecting && !stuck.current && void latest.current(), { root: scroller.current, rootMargin: "300px" });
    watcher.observe(top.current);
    return () => watcher.disconnect();
  }, [canGrow]);

  const onScroll = () => {
    const box = scroller.current;
    if (!box) return;
    stuck.current = box.scrollHeight - box.scrollTop - box.clientHeight < near;
    if (stuck.current) setBelow(false);
  };
  const jump = () => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  const firstNew = visible.findIndex((message) => Number(message.ts) > Number(readUpTo) && message.user !== me.id);
  const now = new Date(Date.now() + ahead);
  return (
    <div className="list-frame">
      <div className="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label="Channel">
        <div className="messages" role="log" aria-live="polite" aria-relevant="additions" aria-label="Messages">
          {canGrow && <button type="button" className="link earlier" ref={top} onClick={() => void grow()}>{loading ? "Loading…" : "Show earlier messages"}</button>}
          {messages.length === 0 && <p className="faint empty">No messages yet.</p>}
          {visible.map((message, at) => {
            const before = visible[at - 1];
            const date = moment(message.ts);
            const isNewDay = !before || !sameDay(moment(before.ts), date);
            return (
              <Fragment key={message.ts}>
                {isNewDay && <div className="day" role="separator"><span>{formatDate("{Day_divider_pretty}", date, now)}</span></div>}
                {at === firstNew && <div className="fresh" role="separator"><span>New</span></div>}
                <MessageRow message={message} follows={!isNewDay && at !== firstNew && follows(message, before)} onThread={onThread} />
              </Fragment>
            );
          })}
        </div>
      </div>
      {below && <button type="button" className="button solid primary jump" onClick={jump}>New messages below</button>}
    </div>
  );
}
