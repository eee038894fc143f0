import * as Dialog from "@radix-ui/react-dialog";
import { useEffect, useRef, useState } from "react";
import { Refused } from "./api";
import { TextPieces } from "./blocks/text";
import { useDoing } from "./context";
import { Out } from "./icons";
import { keep, kept } from "./kept";
import { safe } from "./links";
import type { FirstVisit, Message, Snapshot, Step } from "./types";

/** Where one is: at the suggestions, at a step, or past it all. It outlives a reload, and once over it stays so. */
type Where = "suggestions" | number | "over";
const key = "first-visit";

export function useFirstVisit(): [Where, (where: Where) => void] {
  const [where, setWhere] = useState<Where>(() => kept<Where>(key) ?? "suggestions");
  const go = (next: Where) => {
    keep(key, next);
    setWhere(next);
  };
  return [where, go];
}

function* words(part: unknown): Generator<string> {
  if (Array.isArray(part)) for (const item of part) yield* words(item);
  else if (part && typeof part === "object")
    for (const [name, value] of Object.entries(part)) {
      if (name === "text" && typeof value === "string") yield value;
      else yield* words(value);
    }
}

/** The newest messages of a channel are enough: an answer is among them. */
const looked = 20;

/** What the bot shows now, each message and the modal on top as one text. */
function shown({ messages, views }: Snapshot): Set<string> {
  const newest = Object.values(messages).flatMap((all: Message[]) => all.slice(-looked)).filter((message) => message.from === "bot");
  const texts = newest.map((message) => `${message.ts} ${[...words([message, message.blocks])].join("\n")}`);
  const top = views.at(-1);
  return new Set(top ? [...texts, `${top.id} ${[...words(top)].join("\n")}`] : texts);
}

/** Goes on once the bot has shown, after the step began, what the step or a later one waits for. */
function useProgress(state: Snapshot, steps: Step[], at: number, go: (at: number) => void): void {
  const before = useRef<{ at: number; texts: Set<string> }>({ at: -1, texts: new Set() });
  useEffect(() => {
    const texts = shown(state);
    if (before.current.at !== at) before.current = { at, texts };
    const fresh = [...texts].filter((text) => !before.current.texts.has(text));
    const done = steps.findLastIndex(({ until }, step) => step >= at && until !== undefined && fresh.some((text) => text.includes(until)));
    if (done >= 0) go(done + 1);
  }, [state.messages, state.views, at]);
}

const composer = (): HTMLElement | null => document.querySelector(".main .composer textarea");

type Props = { state: Snapshot; visit: FirstVisit; channel: string; where: Exclude<Where, "over">; go: (where: Where) => void };

/** Stands between the messages and the composer, so that it hides neither; everything else stays in use beside it. */
export function Tour({ state, visit, channel, where, go }: Props) {
  const { api, notify } = useDoing();
  const card = useRef<HTMLDivElement>(null);
  const { steps } = visit;
  const at = typeof where === "number" ? Math.min(where, steps.length - 1) : -1;
  const step = steps[at];
  useProgress(state, steps, at < 0 ? steps.length : at, go);
  const send = async (line: string) => {
    const [word = "", ...rest] = line.split(" ");
    try {
      await api.command(channel, word, rest.join(" "));
    } catch (error) {
      notify(error instanceof Refused ? error.message : "This could not be sent.", "error");
    }
  };
  const isLast = step !== undefined && at === steps.length - 1;
  const href = step?.link && safe(step.link.url);
  return (
    <Dialog.Root open modal={false} onOpenChange={(open) => !open && go("over")}>
      <Dialog.Content ref={card} className="tour" onInteractOutside={(event) => event.preventDefault()}
        onEscapeKeyDown={(event) => !card.current?.contains(event.target as Node) && event.preventDefault()}
        onOpenAutoFocus={(event) => { event.preventDefault(); if (document.activeElement === document.body) card.current?.focus(); }}
        onCloseAutoFocus={(event) => { event.preventDefault(); composer()?.focus(); }}>
        <div className="tour-text" aria-live="polite">
          {step && <p className="tour-count">Step {at + 1} of {steps.length}</p>}
          <Dialog.Title className="tour-title">{step ? step.title : "Three commands to begin with"}</Dialog.Title>
          <Dialog.Description asChild><div><TextPieces text={{ type: "mrkdwn", text: step ? step.text : visit.text }} /></div></Dialog.Description>
        </div>
        {!step && (
          <ul className="suggestions" aria-label="Suggested commands">
            {visit.suggestions.map(({ command, does }) => (
              <li key={command}><button type="button" className="suggestion" onClick={() => void send(command)}><code>{command}</code><small>{does}</small></button></li>
            ))}
          </ul>
        )}
        <div className="tour-foot">
          {step?.link && href && <a className="button solid primary" href={href} target="_blank" rel="noopener noreferrer">{step.link.text} <Out size={14} /></a>}
          {step?.command && <button type="button" className="button solid primary" key="on" onClick={() => void send(step.command!)}>Send {step.command}</button>}
          {step?.next && <button type="button" className="button" key="on" onClick={() => go(at + 1)}>{step.next}</button>}
          {!step && steps.length > 0 && <button type="button" className="button solid primary" key="on" onClick={() => go(0)}>Show me around</button>}
          {!step && steps.length > 0 && <span className="faint">{steps.length} steps, to a renewed token</span>}
          {isLast && <button type="button" className="button solid primary" key="on" onClick={() => go("over")}>Finish</button>}
          {!isLast && <Dialog.Close asChild><button type="button" className="link tour-skip">Skip</button></Dialog.Close>}
        </div>
      </Dialog.Content>
    </Dialog.Root>
  );
}
