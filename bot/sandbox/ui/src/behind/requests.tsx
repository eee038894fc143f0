import { memo, useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import { calls, type Entry, type Shown, type Side } from "./calls";

const names: Record<Side, string> = { slack: "Slack", bot: "bot", apple: "Apple" };
const filters = ["all", "slack", "apple", "errors"] as const;
type Filter = (typeof filters)[number];
const labels: Record<Filter, string> = { all: "All", slack: "Slack", apple: "Apple", errors: "Errors" };

// As the times of the channel's messages: in the reader's own zone.
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const took = (ms: number): string => (ms < 1 ? "<1 ms" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

const isIn = (entry: Entry, filter: Filter): boolean =>
  filter === "all" || (filter === "errors" ? entry.is_error : entry.from === filter || entry.to === filter);

const texts = new WeakMap<Entry, string>();
function textOf(entry: Entry): string {
  const known = texts.get(entry);
  if (known !== undefined) return known;
  const text = [entry.method, entry.path, entry.note, entry.status ?? "no answer", JSON.stringify(entry.sent), JSON.stringify(entry.answered)].join(" ").toLowerCase();
  texts.set(entry, text);
  return text;
}

const pretty = (body: unknown): string => (typeof body === "string" ? body : JSON.stringify(body, null, 2));

function Body({ title, shown }: { title: string; shown: Shown }) {
  const id = useId();
  const headers = Object.entries(shown.headers ?? {});
  const isEmpty = shown.body === null || shown.body === undefined || shown.body === "" || (typeof shown.body === "object" && !Object.keys(shown.body).length);
  return (
    <section className="body-part" aria-labelledby={id}>
      <h3 id={id}>{title}</h3>
      {headers.length > 0 && <dl className="body-headers">{headers.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>}
      {isEmpty ? <p className="faint">No body.</p> : <pre tabIndex={0} aria-labelledby={id}>{pretty(shown.body)}</pre>}
    </section>
  );
}

const Request = memo(function Request({ entry, isOpen, toggle }: { entry: Entry; isOpen: boolean; toggle: (n: number) => void }) {
  const id = useId();
  const item = useRef<HTMLLIElement>(null);
  const status = entry.status ?? "no answer";
  useEffect(() => {
    if (isOpen) item.current?.scrollIntoView({ block: "nearest" });
  }, [isOpen]);
  return (
    <li ref={item} className={`request ${isOpen ? "is-open" : ""}`}>
      <button type="button" className="request-line" aria-expanded={isOpen} aria-controls={isOpen ? id : undefined} onClick={() => toggle(entry.n)}>
        <time dateTime={new Date(entry.at * 1000).toISOString()}>{clock.format(entry.at * 1000)}</time>
        <span className={`way way-${entry.from === "bot" ? entry.to : entry.from}`}>{names[entry.from]}<span aria-hidden="true"> → </span><span className="away"> to </span>{names[entry.to]}</span>
        <span className="request-what"><span className="verb">{entry.method}</span> {entry.path}</span>
        <span className={`status ${entry.is_error ? "is-bad" : ""}`}>{status}</span>
        <span className="took">{took(entry.took_ms)}</span>
        {entry.note && <span className="request-note">{entry.note}</span>}
      </button>
      {isOpen && <div id={id} className="bodies"><Body title="Request" shown={entry.sent} /><Body title="Answer" shown={entry.answered} /></div>}
    </li>
  );
});

/** The list follows its newest line unless one has scrolled away, has a request open, or has paused it. */
export function Requests({ entries }: { entries: Entry[] }) {
  const [filter, setFilter] = useState<Filter>("all");
  const [search, setSearch] = useState("");
  const [open, setOpen] = useState<number | null>(null);
  const [paused, setPaused] = useState<Entry[] | null>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const held = paused ?? entries;
  const wanted = search.trim().toLowerCase();
  const shown = useMemo(() => held.filter((entry) => isIn(entry, filter) && (!wanted || textOf(entry).includes(wanted))), [held, filter, wanted]);
  const waiting = paused ? entries.filter((entry) => entry.n > (paused.at(-1)?.n ?? 0)).length : 0;
  const follows = isAtEnd && open === null;
  const toggle = useCallback((n: number) => setOpen((before) => (before === n ? null : n)), []);
  const toEnd = () => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });

  useEffect(() => {
    if (follows) toEnd();
  }, [shown, follows]);
  const scrolled = () => {
    const box = scroller.current;
    if (box) setAtEnd(box.scrollHeight - box.scrollTop - box.clientHeight < 24);
  };
  const clear = () => {
    setOpen(null);
    setPaused(null);
    void calls.clear().catch(() => undefined);
  };
  return (
    <div className="requests">
      <div className="request-tools">
        <div className="filters" role="radiogroup" aria-label="Show">
          {filters.map((name) => (
            <label key={name} className={filter === name ? "is-chosen" : ""}>
              <input type="radio" name="behind-filter" className="away" checked={filter === name} onChange={() => setFilter(name)} />{labels[name]}
            </label>
          ))}
        </div>
        <input type="search" aria-label="Search requests" placeholder="Search" value={search} onChange={(event) => setSearch(event.target.value)} />
        <button type="button" className="button" aria-pressed={paused !== null} onClick={() => setPaused(paused ? null : entries)}>{paused ? "Go on" : "Pause"}</button>
        <button type="button" className="button" onClick={clear}>Clear</button>
      </div>
      <div className="request-scroller" ref={scroller} onScroll={scrolled} tabIndex={0} role="region" aria-label="Requests">
        {shown.length === 0 && <p className="faint request-empty">{held.length ? "Nothing matches." : "Quiet. Type /enroll in the channel, and what it brings about is listed here."}</p>}
        <ol>{shown.map((entry) => <Request key={entry.n} entry={entry} isOpen={open === entry.n} toggle={toggle} />)}</ol>
      </div>
      {(paused || !isAtEnd || open !== null) && (
        <div className="request-foot">
          <span className="faint">{paused ? `Paused${waiting ? `, ${waiting} more since` : ""}` : open !== null ? "Not following while a request is open" : "Not following"}</span>
          {!paused && <button type="button" className="link" onClick={() => { setOpen(null); setAtEnd(true); toEnd(); }}>To the newest</button>}
        </div>
      )}
    </div>
  );
}
