import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Refused } from "./api";
import { useDoing } from "./context";
import { Clip, Send } from "./icons";
import { keep, kept } from "./kept";
import { noteSent } from "./sent";
import { Shortcuts } from "./shortcuts";
import type { Command } from "./types";

type Completion = { key: string; text: string; usage: string; summary: string };

/** The words of a usage that are typed as they stand: `token add NAME` -> `token add`. */
function literal(usage: string): string {
  const words = usage.split(/\s+/);
  const end = words.findIndex((word) => !/^[a-z][a-z-]*$/.test(word));
  return (end < 0 ? words : words.slice(0, end)).join(" ");
}

/** Without usages, the words of the hint that Slack itself would show: `status | token | help`. */
const hinted = ({ usage_hint = "", description = "" }: Command) =>
  ["", ...usage_hint.split("|").map((word) => word.trim()).filter(Boolean)].map((usage) => ({ usage, summary: usage ? "" : description }));

function completions(text: string, commands: Command[]): Completion[] {
  if (!text.startsWith("/") || text.includes("\n")) return [];
  const [word = "", ...rest] = text.split(" ");
  const typed = rest.join(" ").toLowerCase();
  return commands.flatMap((command) => {
    if (text.includes(" ") ? command.command !== word : !command.command.startsWith(word)) return [];
    const usages = command.usages?.length ? command.usages : hinted(command);
    return usages
      .map(({ usage, summary }) => ({ start: literal(usage), usage, summary: summary ?? "" }))
      .filter(({ start }) => start.startsWith(typed) || typed.startsWith(`${start} `) && start !== "")
      .map(({ start, usage, summary }) => ({ key: `${command.command} ${usage}`, text: `${command.command} ${start}`.trim() + " ", usage: `${command.command} ${usage}`, summary }));
  });
}

const linesKept = 50;

/** Lines sent before, for the arrow keys; they survive a reload of the tab. */
function useHistory(person: string): { lines: string[]; add: (line: string) => void } {
  const key = `history:${person}`;
  const [lines, setLines] = useState<string[]>(() => kept<string[]>(key, "tab") ?? []);
  const add = (line: string) => {
    const next = [...lines.filter((other) => other !== line), line].slice(-linesKept);
    setLines(next);
    keep(key, next, "tab");
  };
  return { lines, add };
}

type Props = { channel: string; name: string; commands: Command[]; thread?: string };

export function Composer({ channel, name, commands, thread }: Props) {
  const { api, notify } = useDoing();
  const [text, setText] = useState("");
  const [lit, setLit] = useState(-1);
  const [hidden, setHidden] = useState(false);
  const [back, setBack] = useState(0);
  const history = useHistory(api.person);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const listId = useId();
  const found = useMemo(() => (thread ? [] : completions(text, commands)), [text, commands, thread]);
  const isOpen = found.length > 0 && !hidden && back === 0;

  useLayoutEffect(() => {
    const box = area.current;
    if (!box) return;
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 200)}px`;
  }, [text]);

  // As in Slack, one who types beside a text box means the composer.
  useEffect(() => {
    const onKey = ({ key, target, ctrlKey, metaKey, altKey }: globalThis.KeyboardEvent) => {
      const at = target instanceof HTMLElement && (target.matches(thread ? ".thread .scroller" : ".main .scroller") || (!thread && target === document.body));
      if (at && key.length === 1 && key !== " " && !ctrlKey && !metaKey && !altKey && !document.querySelector(".overlay")) area.current?.focus();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [thread]);

  const write = (next: string) => {
    setText(next);
    setLit(-1);
    setHidden(false);
  };
  const send = async () => {
    const line = text.trim();
    if (!line) return;
    if (thread && line.startsWith("/")) return notify("Slash commands cannot be used in threads.", "error");
    write("");
    setBack(0);
    history.add(line);
    const [word = "", ...rest] = line.split(/(?<=^\S+)\s/);
    try {
      noteSent();
      await (line.startsWith("/") ? api.command(channel, word, rest.join("").trim()) : api.say(channel, line, thread));
    } catch (error) {
      setText(line);
      notify(error instanceof Refused ? error.message : "This could not be sent.", "error");
    }
  };
  const complete = (at: number) => {
    const entry = found[at];
    if (entry && !text.startsWith(entry.text)) write(entry.text);
    area.current?.focus();
  };
  const recall = (to: number) => {
    if (to < 0 || to > history.lines.length) return;
    setBack(to);
    write(to === 0 ? "" : (history.lines.at(-to) ?? ""));
  };
  const onListKey = (event: KeyboardEvent): boolean => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    // What is typed up to its arguments already: its usage is only a hint now, and the keys do as ever.
    const isTyped = text.startsWith(found[Math.max(lit, 0)]?.text ?? " ");
    if (move) setLit((at) => (at + move + found.length + (at < 0 && move < 0 ? 1 : 0)) % found.length);
    else if (event.key === "Tab" && !event.shiftKey && !isTyped) complete(Math.max(lit, 0));
    else if (event.key === "Enter" && lit >= 0 && !isTyped) complete(lit);
    else if (event.key === "Escape") setHidden(true);
    else return false;
    return true;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (isOpen && onListKey(event)) return event.preventDefault();
    if (event.key === "ArrowUp" && (text === "" || back > 0)) {
      event.preventDefault();
      recall(back + 1);
    } else if (event.key === "ArrowDown" && back > 0) {
      event.preventDefault();
      recall(back - 1);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void send();
    }
  };
  const attach = async (files: FileList | null) => {
    for (const file of files ?? []) {
      try {
        await api.upload(file, { channel, ...(thread ? { thread_ts: thread } : {}) });
      } catch (error) {
        notify(error instanceof Refused ? `${file.name}: ${error.message}` : `${file.name} could not be uploaded.`, "error");
      }
    }
    if (picker.current) picker.current.value = "";
  };
  const label = thread ? "Reply" : `Message ${name}`;
  return (
    <div className="composer">
      {isOpen && (
        <ul className="list completions" id={listId} role="listbox" aria-label="Commands">
          {found.map((entry, at) => (
            <li key={entry.key} id={`${listId}-${at}`} role="option" aria-selected={at === lit} className={`list-item ${at === lit ? "lit" : ""}`}
              ref={at === lit ? (item) => { item?.scrollIntoView({ block: "nearest" }); } : undefined}
              onMouseDown={(event) => { event.preventDefault(); complete(at); }}>
              <code>{entry.usage}</code><small>{entry.summary}</small>
            </li>
          ))}
        </ul>
      )}
      <textarea ref={area} rows={1} value={text} aria-label={label} placeholder={label} spellCheck={false}
        aria-haspopup={found.length ? "listbox" : undefined} aria-controls={isOpen ? listId : undefined} aria-autocomplete={found.length ? "list" : undefined}
        aria-activedescendant={isOpen && lit >= 0 ? `${listId}-${lit}` : undefined}
        onChange={(event) => { write(event.target.value); setBack(0); }} onKeyDown={onKeyDown} />
      <div className="composer-foot">
        <button type="button" className="icon" aria-label="Attach a file" title="Attach a file" onClick={() => picker.current?.click()}><Clip /></button>
        <input ref={picker} type="file" multiple hidden aria-hidden="true" tabIndex={-1} onChange={(event) => void attach(event.target.files)} />
        {!thread && <Shortcuts kind="global" />}
        <span className="faint hint">{!thread && <>Type / for commands<span className="hint-keys">, ↑ for what you sent before</span></>}</span>
        <button type="button" className="icon send" aria-label="Send" disabled={!text.trim()} onClick={() => void send()}><Send /></button>
      </div>
    </div>
  );
}
