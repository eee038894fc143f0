import { useEffect, useReducer, useRef, useState } from "react";
import { Api, Refused } from "./api";
import { reduce, type Events } from "./store";
import type { Snapshot } from "./types";

const retryAfter = 2000;

type Live = {
  state: Snapshot | null;
  /** Whether what is shown is up to date; false while the stand-in cannot be reached. */
  connected: boolean;
  /** Whether it was so before: what stands there meanwhile is that it connects again. */
  again: boolean;
  trouble: string;
  ahead: number;
  apply: (event: Events) => void;
};

/** The snapshot of one person, kept up to date; it reconnects by itself. */
export function useLive(api: Api, onNotice: (text: string, level: string) => void): Live {
  const [state, apply] = useReducer(reduce, null);
  const [connected, setConnected] = useState(false);
  const [again, setAgain] = useState(false);
  const [isBotUp, setBotUp] = useState(true);
  const [trouble, setTrouble] = useState("");
  const [ahead, setAhead] = useState(0);
  const heard = useRef(onNotice);
  heard.current = onNotice;

  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;

    const later = () => {
      setConnected(false);
      source?.close();
      clearTimeout(timer);
      timer = setTimeout(() => void start(), retryAfter);
    };
    const listen = (after: string) => {
      source = api.events(after);
      const on = <T,>(name: string, handle: (data: T) => void) =>
        source!.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data || "{}") as T));
      for (const name of ["message", "message_gone", "views", "home", "channel"] as const) {
        on<Record<string, unknown>>(name, (data) => apply({ type: name, ...data } as unknown as Events));
      }
      on<{ text: string; level: string }>("notice", ({ text, level }) => heard.current(text, level));
      on("reset", () => void start());
      on<{ up: boolean }>("bot", ({ up }) => setBotUp(up));
      source.onopen = () => {
        setConnected(true);
        setAgain(true);
      };
      // A closed stream is not taken up by the browser itself: an answer such as 502 while the sandbox restarts.
      source.onerror = () => (source?.readyState === EventSource.CLOSED ? later() : setConnected(false));
    };
    const start = async () => {
      source?.close();
      try {
        const snapshot = await api.snapshot();
        if (over) return;
        setAhead(snapshot.now * 1000 - Date.now());
        setTrouble("");
        // The stand-in answers the page only while there is a bot.
        setBotUp(true);
        apply({ type: "snapshot", snapshot });
        listen(snapshot.event_id);
      } catch (error) {
        if (over) return;
        setTrouble(error instanceof Refused ? error.message : "The sandbox sent something that this page cannot read.");
        later();
      }
    };
    // A stream that was cut off without a word stays open for the browser; back online, everything is asked anew.
    const back = () => void start();
    window.addEventListener("online", back);
    void start();
    return () => {
      over = true;
      window.removeEventListener("online", back);
      clearTimeout(timer);
      source?.close();
    };
  }, [api]);
  return { state, connected: connected && isBotUp, again, trouble, ahead, apply };
}
