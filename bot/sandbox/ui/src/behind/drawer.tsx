import "./behind.css";
import * as Dialog from "@radix-ui/react-dialog";
import { useRef, useState, type KeyboardEvent } from "react";
import { Close } from "../icons";
import { keep, kept } from "../kept";
import { useBehind } from "./live";
import { Requests } from "./requests";
import { Switches } from "./switches";

const tabs = ["switches", "requests"] as const;
type Tab = (typeof tabs)[number];
const labels: Record<Tab, string> = { switches: "Switches", requests: "Requests" };
const remembered = "behind:tab";

type Word = { text: string; isBad: boolean };

function Inside() {
  const { state, asked, entries, trouble, take } = useBehind();
  const [tab, setTab] = useState<Tab>(() => (kept<Tab>(remembered, "tab") === "requests" ? "requests" : "switches"));
  const [word, setWord] = useState<Word>({ text: "", isBad: false });
  const buttons = useRef<Partial<Record<Tab, HTMLButtonElement | null>>>({});
  const choose = (next: Tab) => {
    keep(remembered, next, "tab");
    setTab(next);
    setWord({ text: "", isBad: false });
  };
  const step = (event: KeyboardEvent) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tab === "switches" ? "requests" : "switches";
    choose(next);
    buttons.current[next]?.focus();
  };
  return (
    <>
      <div className="behind-head">
        <Dialog.Title className="behind-title">Behind the scenes</Dialog.Title>
        <div className="behind-tabs" role="tablist" aria-label="Behind the scenes" onKeyDown={step}>
          {tabs.map((name) => (
            <button key={name} type="button" role="tab" id={`behind-tab-${name}`} aria-selected={tab === name} aria-controls="behind-panel" tabIndex={tab === name ? 0 : -1}
              ref={(button) => { buttons.current[name] = button; }} onClick={() => choose(name)}>
              {labels[name]}{name === "requests" && entries.length > 0 && <span className="behind-count">{entries.length}</span>}
            </button>
          ))}
        </div>
        <Dialog.Close asChild><button type="button" className="icon" aria-label="Close"><Close /></button></Dialog.Close>
      </div>
      {trouble && <p className="behind-trouble" role="status">{trouble}</p>}
      <div className="behind-panel" role="tabpanel" id="behind-panel" aria-labelledby={`behind-tab-${tab}`}>
        {tab === "requests" ? <Requests entries={entries} /> : state ? <Switches state={state} asked={asked} take={take} say={(text, isBad = false) => setWord({ text, isBad })} /> : <p className="faint request-empty">Opening…</p>}
      </div>
      <p className={`behind-word ${word.isBad ? "is-bad" : ""}`} role="status">{word.text}</p>
    </>
  );
}

/** The button of the head and the drawer that it opens. The channel stays in use beside it. */
export function Behind() {
  const [isOpen, setOpen] = useState(false);
  // Escape in the channel closes what is open there.
  const content = useRef<HTMLDivElement>(null);
  return (
    <Dialog.Root open={isOpen} onOpenChange={setOpen} modal={false}>
      <Dialog.Trigger asChild>
        <button type="button" className="behind-button" aria-label="Behind the scenes">
          <svg width="16" height="16" viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" aria-hidden="true">
            <path d="M3 6h7m4 0h3M3 14h3m4 0h7" /><circle cx="12" cy="6" r="2" /><circle cx="8" cy="14" r="2" />
          </svg>
          <span className="behind-button-name">Behind the scenes</span>
        </button>
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Content ref={content} className="behind" aria-describedby={undefined} onInteractOutside={(event) => event.preventDefault()}
          onEscapeKeyDown={(event) => !content.current?.contains(event.target as Node) && event.preventDefault()}>
          <Inside />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
