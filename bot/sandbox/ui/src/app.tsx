import * as Menu from "@radix-ui/react-dropdown-menu";
import { Fragment, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Api } from "./api";
import { Behind } from "./behind/drawer";
import { Blocks } from "./blocks/draw";
import { Composer } from "./composer";
import { DirectoryContext, DoingContext, type Directory, type Doing } from "./context";
import { ConfirmDialog, Modal } from "./dialogs";
import { Bars, Close, Down, Hash, Out } from "./icons";
import { keep, kept } from "./kept";
import { safe } from "./links";
import { MessageList } from "./list";
import { useLive } from "./live";
import { Avatar, MessageRow } from "./message";
import { Form } from "./state";
import { byTs, inChannel } from "./store";
import { SurfaceProvider } from "./surface";
import { Tour, useFirstVisit } from "./tour";
import type { Channel, Confirm, Snapshot, User, View } from "./types";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const useTheme = (): "light" | "dark" =>
  useSyncExternalStore(
    (changed) => {
      dark.addEventListener("change", changed);
      return () => dark.removeEventListener("change", changed);
    },
    () => (dark.matches ? "dark" : "light"),
  );

type Notice = { id: number; text: string; level: string };
const noticeStays = 8000;

function useNotices(): [Notice[], (text: string, level?: string) => void, (id: number) => void] {
  const [notices, setNotices] = useState<Notice[]>([]);
  const next = useRef(0);
  const drop = useCallback((id: number) => setNotices((all) => all.filter((notice) => notice.id !== id)), []);
  const notify = useCallback((text: string, level = "info") => {
    const id = (next.current += 1);
    setNotices((all) => [...all.filter((notice) => notice.text !== text), { id, text, level }]);
    setTimeout(() => drop(id), noticeStays);
  }, [drop]);
  return [notices, notify, drop];
}

type Question = { confirm: Confirm; answer: (yes: boolean) => void };

function useConfirm(): [Question | null, (confirm: Confirm) => Promise<boolean>] {
  const [question, setQuestion] = useState<Question | null>(null);
  const ask = useCallback(
    (confirm: Confirm) =>
      new Promise<boolean>((resolve) => {
        setQuestion({ confirm, answer: (yes) => { setQuestion(null); resolve(yes); } });
      }),
    [],
  );
  return [question, ask];
}

/** Up to where each channel was read, kept by this browser for each person. */
function useReading(person: string, state: Snapshot | null, current: string) {
  const key = `read:${person}`;
  const [read, setRead] = useState<Record<string, string>>(() => kept<Record<string, string>>(key) ?? {});
  const newest = (channel: string): string => state?.messages[channel]?.filter(inChannel).at(-1)?.ts ?? "0";
  const mark = newest(current);
  const isVisible = useSyncExternalStore(
    (changed) => { document.addEventListener("visibilitychange", changed); return () => document.removeEventListener("visibilitychange", changed); },
    () => document.visibilityState === "visible",
  );
  useEffect(() => {
    if (!state) return;
    setRead((before) => {
      const unknown = Object.fromEntries(state.channels.filter((channel) => !(channel.id in before)).map((channel) => [channel.id, newest(channel.id)]));
      const next = { ...unknown, ...before, ...(isVisible && current ? { [current]: mark } : {}) };
      keep(key, next);
      return next;
    });
  }, [state?.channels.length, current, mark, isVisible]);
  const unread = (channel: string): number =>
    channel in read
      ? (state?.messages[channel] ?? []).filter((m) => inChannel(m) && m.user !== person && byTs(m.ts, read[channel]!) > 0).length
      : 0;
  return { read, unread, isVisible, newest: mark };
}

const homeTab = "home";

type Place = { channel: string; tab: "messages" | "home" };

/** Where one is, in the address, so that a reload and the back button do what they say. */
function usePlace(state: Snapshot | null): [Place, (channel: string, tab?: "messages" | "home") => void] {
  const hash = useSyncExternalStore(
    (changed) => { window.addEventListener("hashchange", changed); return () => window.removeEventListener("hashchange", changed); },
    () => window.location.hash,
  );
  const [, wanted = "", tab = ""] = hash.split("/");
  const known = state?.channels.find((channel) => channel.id === wanted) ?? state?.channels[0];
  const go = useCallback((channel: string, to: "messages" | "home" = "messages") => {
    window.location.hash = to === "home" ? `#/${channel}/${homeTab}` : `#/${channel}`;
  }, []);
  return [{ channel: known?.id ?? "", tab: tab === homeTab && known?.kind === "im" ? "home" : "messages" }, go];
}

type HeadProps = { state: Snapshot; unread: number; people: User[]; menu: () => void; onPerson: (id: string) => void; onTour: () => void };

function Head({ state, unread, people, menu, onPerson, onTour }: HeadProps) {
  const { me, team, links } = state;
  const bar = useRef<HTMLElement>(null);
  const names: Record<string, string> = { abm_url: "Apple Business Manager", readme_url: "Read me" };
  return (
    <header className="head" ref={bar}>
      <button type="button" className="icon only-narrow menu-button" aria-label={unread ? `Channels, ${unread} unread` : "Channels"} onClick={menu}>
        <Bars />{unread > 0 && <span className="unread-dot" />}
      </button>
      <strong className="team">{team.name}</strong>
      <nav className="head-links" aria-label="Links">
        {Object.entries(links).map(([key, address]) => {
          const href = safe(address);
          return href && <a key={key} href={href} target="_blank" rel="noopener noreferrer">{names[key] ?? key.replace(/_url$/, "").replace(/_/g, " ")} <Out size={14} /></a>;
        })}
      </nav>
      <Behind />
      <Menu.Root modal={false}>
        <Menu.Trigger asChild>
          <button type="button" className="who" aria-label={`You are ${me.real_name || me.name}, ${me.title ?? ""}. Switch person`}>
            <Avatar user={me} isBot={false} size={26} />
            <span className="who-name">{me.real_name || me.name}</span>
            {me.title && <span className="role">{me.title}</span>}
            <Down size={14} />
          </button>
        </Menu.Trigger>
        <Menu.Portal container={bar.current}>
          <Menu.Content className="menu" align="end" sideOffset={6} collisionPadding={8}>
            <Menu.Label className="menu-label">Act as</Menu.Label>
            <Menu.RadioGroup value={me.id} onValueChange={onPerson}>
              {people.map((person) => (
                <Menu.RadioItem key={person.id} value={person.id} className="menu-item menu-person">
                  <Avatar user={person} isBot={false} size={28} />
                  <span>{person.real_name || person.name}<small>{person.title}</small></span>
                  <Menu.ItemIndicator className="tick">✓</Menu.ItemIndicator>
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
            {state.first_visit && (
              <>
                <Menu.Separator className="menu-line" />
                <Menu.Item className="menu-item" onSelect={onTour}>Show me around</Menu.Item>
              </>
            )}
          </Menu.Content>
        </Menu.Portal>
      </Menu.Root>
    </header>
  );
}

type SideProps = { channels: Channel[]; current: string; unread: (channel: string) => number; go: (channel: string, tab?: "messages" | "home") => void; bot: string };

function Side({ channels, current, unread, go, bot }: SideProps) {
  const entry = (channel: Channel, icon: React.ReactNode, name: string) => {
    const count = unread(channel.id);
    return (
      <li key={channel.id}>
        <button type="button" className={`side-item ${count ? "unread" : ""}`} aria-current={channel.id === current ? "page" : undefined} onClick={() => go(channel.id)}>
          {icon}<span className="side-name">{name}</span>
          {count > 0 && <span className="count">{count > 99 ? "99+" : count}<span className="away"> unread</span></span>}
        </button>
      </li>
    );
  };
  const robot = { id: "bot", name: bot };
  return (
    <>
      <h2>Channels</h2>
      <ul>{channels.filter((channel) => channel.kind !== "im").map((channel) => entry(channel, <Hash />, channel.name))}</ul>
      <h2>Direct messages</h2>
      <ul>{channels.filter((channel) => channel.kind === "im").map((channel) => entry(channel, <Avatar user={robot} isBot size={20} />, channel.name))}</ul>
    </>
  );
}

function Home({ view, channel }: { view: View | null; channel: string }) {
  const [form] = useState(() => new Form());
  const container = useMemo(() => ({ type: "view" as const, view_id: view?.id ?? "" }), [view?.id]);
  if (!view) return <div className="home"><p className="faint empty">Nothing here yet. The bot fills this tab when it is opened.</p></div>;
  return (
    <div className="home" tabIndex={0} role="region" aria-label="Home">
      <SurfaceProvider container={container} channel={channel} form={form} blocks={view.blocks}><Blocks blocks={view.blocks} /></SurfaceProvider>
    </div>
  );
}

function Thread({ state, channel, ts, onClose }: { state: Snapshot; channel: Channel; ts: string; onClose: () => void }) {
  const messages = (state.messages[channel.id] ?? []).filter((message) => message.ts === ts || message.thread_ts === ts);
  const heading = useRef<HTMLHeadingElement>(null);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    heading.current?.focus();
  }, [ts]);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [messages.length]);
  return (
    <aside className="thread" aria-label="Thread" onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && onClose()}>
      <div className="thread-head">
        <h2 tabIndex={-1} ref={heading}>Thread</h2>
        <span className="faint">{channel.kind === "im" ? channel.name : `#${channel.name}`}</span>
        <button type="button" className="icon" aria-label="Close thread" onClick={onClose}><Close /></button>
      </div>
      <div className="scroller" tabIndex={0} role="region" aria-label="Replies">
        {messages.map((message, at) => (
          <Fragment key={message.ts}>
            {at === 1 && <div className="reply-count"><span>{messages.length === 2 ? "1 reply" : `${messages.length - 1} replies`}</span></div>}
            <MessageRow message={message} follows={false} inThread />
          </Fragment>
        ))}
        <div ref={end} />
      </div>
      <Composer channel={channel.id} name="the thread" commands={[]} thread={ts} />
    </aside>
  );
}

function Failed({ text }: { text: string }) {
  return <div className="failed" role={text ? "alert" : "status"}><p>{text || "Opening…"}</p>{text && <p className="faint">This page tries again by itself.</p>}</div>;
}

export function App({ person, people, onPerson }: { person: string; people: User[]; onPerson: (id: string) => void }) {
  const api = useMemo(() => new Api(person), [person]);
  const theme = useTheme();
  const [notices, notify, dropNotice] = useNotices();
  const [question, confirm] = useConfirm();
  const [thread, setThread] = useState<string | null>(null);
  const [isMenuOpen, setMenuOpen] = useState(false);
  const [visited, visit] = useFirstVisit();
  const { state, connected, again, trouble, ahead, apply } = useLive(api, notify);
  const [{ channel: current, tab }, go] = usePlace(state);
  const { read, unread, isVisible, newest } = useReading(person, state, tab === "home" ? "" : current);
  const forms = useRef(new Map<string, Form>());

  const goTo = useCallback((channel: string, to: "messages" | "home" = "messages") => {
    go(channel, to);
    setThread(null);
    setMenuOpen(false);
  }, [go]);
  const doing = useMemo<Doing>(() => ({ api, confirm, notify }), [api, confirm, notify]);
  const directory = useMemo<Directory | null>(
    () => state && { me: state.me, users: state.users, usergroups: state.usergroups, channels: state.channels, botName: state.bot.name, shortcuts: state.shortcuts, theme, ahead, goTo },
    [state?.me, state?.users, state?.usergroups, state?.channels, state?.bot.name, state?.shortcuts, theme, ahead, goTo],
  );
  // What was unread when one came to the channel, or back to the window. What comes while one looks is not marked as new.
  const opened = useRef({ channel: "", after: "", upTo: "", isVisible });
  if (current in read && (opened.current.channel !== current || (isVisible && !opened.current.isVisible))) {
    opened.current = { channel: current, after: read[current]!, upTo: newest, isVisible };
  }
  opened.current.isVisible = isVisible;

  const isIm = state?.channels.find((channel) => channel.id === current)?.kind === "im";
  useEffect(() => {
    if (isIm) api.opened(tab).catch(() => undefined);
  }, [api, isIm, tab, current]);
  const total = state?.channels.reduce((sum, channel) => sum + unread(channel.id), 0) ?? 0;
  const channel = state?.channels.find((other) => other.id === current);
  useEffect(() => {
    document.title = `${total ? `(${total}) ` : ""}${channel?.name ?? "enrollbot"} · ${state?.team.name ?? "sandbox"}`;
  }, [total, channel?.name, state?.team.name]);

  if (!state || !directory || !channel) return <Failed text={trouble} />;
  const isKnownThread = thread && state.messages[current]?.some((message) => message.ts === thread);
  const top = state.views.at(-1);
  const formOf = (view: View): Form => {
    const form = forms.current.get(view.id) ?? new Form();
    forms.current.set(view.id, form);
    return form;
  };
  const older = async () => {
    const first = state.messages[current]?.[0];
    if (!first) return;
    const { messages, more } = await api.older(current, first.ts);
    apply({ type: "older", channel: current, messages, more });
  };
  const name = isIm ? channel.name : `#${channel.name}`;
  return (
    <DirectoryContext value={directory}>
      <DoingContext value={doing}>
        <div className={`frame ${isMenuOpen ? "menu-open" : ""} ${isKnownThread ? "with-thread" : ""}`}>
          <Head state={state} unread={total} people={people} menu={() => setMenuOpen(!isMenuOpen)} onPerson={onPerson} onTour={() => { visit("suggestions"); goTo(current); }} />
          <nav className="side" aria-label="Channels"><Side channels={state.channels} current={current} unread={unread} go={goTo} bot={state.bot.name} /></nav>
          <main className="main">
            <div className="main-head">
              <h1>{isIm ? <Avatar user={{ id: "bot", name: channel.name }} isBot size={24} /> : <Hash />}{channel.name}</h1>
              {channel.topic && <span className="faint topic">{channel.topic}</span>}
              {isIm && (
                <div className="tabs" role="tablist" aria-label={channel.name}>
                  {(["messages", "home"] as const).map((kind) => (
                    <button key={kind} type="button" role="tab" aria-selected={tab === kind} onClick={() => goTo(current, kind)}>{kind === "home" ? "Home" : "Messages"}</button>
                  ))}
                </div>
              )}
            </div>
            {!connected && <div className="offline" role="status">{again ? "Connecting again…" : "Connecting to the sandbox…"}</div>}
            {tab === "home" ? (
              <Home key={state.home?.id ?? ""} view={state.home} channel={current} />
            ) : (
              <>
                <MessageList key={current} messages={(state.messages[current] ?? []).filter(inChannel)} hasMore={state.more[current] ?? false} onOlder={older}
                  onThread={setThread} unreadAfter={opened.current.after} unreadUpTo={opened.current.upTo} />
                {state.first_visit && visited !== "over" && <Tour state={state} visit={state.first_visit} channel={current} where={visited} go={visit} />}
                <Composer key={`c-${current}`} channel={current} name={name} commands={state.commands} />
              </>
            )}
          </main>
          {isKnownThread && <Thread key={thread} state={state} channel={channel} ts={thread} onClose={() => setThread(null)} />}
        </div>
        {top && <Modal key={top.id} view={top} depth={state.views.length} channel={current} form={formOf(top)} />}
        {question && <ConfirmDialog question={question.confirm} answer={question.answer} />}
        <div className="notices" role="status">
          {notices.map((notice) => (
            <div key={notice.id} className={`notice ${notice.level}`}>
              <span>{notice.text}</span>
              <button type="button" className="icon" aria-label="Dismiss" onClick={() => dropNotice(notice.id)}><Close size={14} /></button>
            </div>
          ))}
        </div>
      </DoingContext>
    </DirectoryContext>
  );
}
