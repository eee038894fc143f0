import { useEffect, useReducer, useRef, useState } from "react";
import { calls, type Entry, type State } from "./calls";

const kept = 500;
const again = 2000;
/** A sync brings many requests at once: they are drawn together. */
const together = 80;

type Change = { type: "add"; entries: Entry[] } | { type: "clear" };

function reduce(entries: Entry[], change: Change): Entry[] {
  if (change.type === "clear") return [];
  const newest = entries.at(-1)?.n ?? 0;
  return [...entries, ...change.entries.filter((entry) => entry.n > newest)].slice(-kept);
}

type Behind = {
  state: State | null;
  /** What the machine's clock said when `state` came, so that the bot's clock can tick on. */
  asked: number;
  entries: Entry[];
  trouble: string;
  take: (state: State) => void;
};

/** The switches and the list of requests while the drawer is open; it reconnects by itself. */
export function useBehind(): Behind {
  const [entries, change] = useReducer(reduce, []);
  const [{ state, asked }, setState] = useState<{ state: State | null; asked: number }>({ state: null, asked: 0 });
  const [trouble, setTrouble] = useState("");
  const take = useRef((next: State) => setState({ state: next, asked: Date.now() })).current;

  useEffect(() => {
    let source: EventSource | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let drawing: ReturnType<typeof setTimeout> | undefined;
    let waiting: Entry[] = [];

    const look = () => calls.state().then((next) => { take(next); setTrouble(""); }, () => setTrouble("The sandbox does not answer. This drawer tries again by itself."));
    const draw = () => {
      const arrived = waiting;
      waiting = [];
      drawing = undefined;
      change({ type: "add", entries: arrived });
    };
    const listen = () => {
      source = calls.events();
      source.addEventListener("request", (event) => {
        waiting.push(JSON.parse((event as MessageEvent<string>).data) as Entry);
        drawing ??= setTimeout(draw, together);
      });
      source.addEventListener("cleared", () => { waiting = []; change({ type: "clear" }); });
      source.addEventListener("state", () => void look());
      source.onopen = () => void look();
      source.onerror = () => {
        setTrouble("Connecting to the sandbox…");
        if (source?.readyState !== EventSource.CLOSED) return;
        change({ type: "clear" });
        retry = setTimeout(listen, again);
      };
    };
    // Terms are signed and tokens generated in Apple Business Manager too, in another tab.
    window.addEventListener("focus", look);
    listen();
    return () => {
      window.removeEventListener("focus", look);
      clearTimeout(retry);
      clearTimeout(drawing);
      source?.close();
    };
  }, [take]);
  return { state, asked, entries, trouble, take };
}
