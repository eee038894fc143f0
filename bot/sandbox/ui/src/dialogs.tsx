import * as Dialog from "@radix-ui/react-dialog";
import { useCallback, useEffect, useMemo, useRef, useState, type FormEvent } from "react";
import { Refused } from "./api";
import { Blocks } from "./blocks/draw";
import { unescape, withEmoji } from "./blocks/mrkdwn";
import { TextPieces } from "./blocks/text";
import { useDoing } from "./context";
import { Close } from "./icons";
import { problems, type Form } from "./state";
import { SurfaceProvider } from "./surface";
import type { Confirm, View } from "./types";

const words = (text: { text: string } | null | undefined, otherwise: string): string => (text ? withEmoji(unescape(text.text)) : otherwise);

export function ConfirmDialog({ question, answer }: { question: Confirm; answer: (yes: boolean) => void }) {
  return (
    <Dialog.Root open onOpenChange={(open) => !open && answer(false)}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay">
          <Dialog.Content className="dialog confirm" role="alertdialog" onPointerDownOutside={(event) => event.preventDefault()}>
            <Dialog.Title className="dialog-title">{words(question.title, "Are you sure?")}</Dialog.Title>
            <Dialog.Description asChild><div className="dialog-body"><TextPieces text={question.text} /></div></Dialog.Description>
            <div className="dialog-foot">
              <button type="button" className="button" onClick={() => answer(false)}>{words(question.deny, "Cancel")}</button>
              <button type="button" className={`button solid ${question.style ?? "primary"}`} onClick={() => answer(true)}>{words(question.confirm, "Yes")}</button>
            </div>
          </Dialog.Content>
        </Dialog.Overlay>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Puts the keyboard where typing goes on: a field with an error, the one that the bot named, else the first. */
function focusField(content: HTMLElement | null): void {
  const fields = "[aria-invalid=true], [autofocus], .dialog-body input:not([type=hidden]), .dialog-body textarea, .dialog-body button, .dialog-foot button";
  for (const selector of fields.split(", ")) {
    const field = content?.querySelector<HTMLElement>(selector);
    if (field) return field.focus();
  }
}

const blockIds = (view: View): string[] => view.blocks.map((block) => block.block_id ?? "");

/** Puts the keyboard back where it was before a dialog, else where one types. */
function focusAfter(opener: Element | null): void {
  const back = opener instanceof HTMLElement && opener !== document.body && opener.isConnected ? opener : null;
  (back ?? document.querySelector<HTMLElement>(".composer textarea"))?.focus();
}

/** Escape closes an open list of choices first, and only then the dialog. */
const isOpenList = (target: EventTarget | null): boolean => target instanceof HTMLElement && target.getAttribute("aria-expanded") === "true";

type Props = { view: View; depth: number; channel: string; form: Form };

/** The modal on top of the stack. Those below keep what was typed in their forms. */
export function Modal({ view, depth, channel, form }: Props) {
  const { api } = useDoing();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [uploads, setUploads] = useState(0);
  const content = useRef<HTMLDivElement>(null);
  const container = useMemo(() => ({ type: "view" as const, view_id: view.id }), [view.id]);
  const touched = useCallback((block: string) => setErrors(({ [block]: _, ...rest }) => rest), []);
  const uploading = useCallback((delta: 1 | -1) => setUploads((count) => count + delta), []);

  const [opener] = useState(() => document.activeElement);
  const drawn = useRef(blockIds(view));

  useEffect(() => {
    const before = drawn.current;
    drawn.current = blockIds(view);
    // A view with none of the blocks that were there is another step: one begins at its top.
    const isAnotherStep = before !== drawn.current && !drawn.current.some((id) => before.includes(id));
    if (isAnotherStep) content.current?.querySelector(".dialog-body")?.scrollTo({ top: 0 });
    const isLost = !content.current?.contains(document.activeElement) || document.activeElement === content.current;
    if (isAnotherStep || isLost) focusField(content.current);
  }, [view.hash]);
  useEffect(() => {
    if (Object.keys(errors).length) focusField(content.current);
  }, [errors]);

  const close = async (all: boolean) => {
    try {
      await api.close(view.id, all);
    } catch (error) {
      setTrouble(error instanceof Refused ? error.message : "This could not be closed.");
    }
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || uploads || !view.submit) return;
    const found = problems(view.blocks, form);
    setTrouble("");
    setErrors(found);
    if (Object.keys(found).length) return;
    setBusy(true);
    try {
      const answer = await api.submit(view.id, form.values(view.blocks));
      setErrors(answer.errors ?? {});
      if (answer.error) setTrouble(answer.text ?? "We had some trouble connecting. Try again?");
    } catch (error) {
      setTrouble(error instanceof Refused ? error.message : "We had some trouble connecting. Try again?");
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && void close(true)}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay">
          <Dialog.Content ref={content} className="dialog" aria-describedby={undefined} onPointerDownOutside={(event) => event.preventDefault()}
            onInteractOutside={(event) => event.preventDefault()}
            onEscapeKeyDown={(event) => isOpenList(event.target) && event.preventDefault()}
            onCloseAutoFocus={(event) => { event.preventDefault(); focusAfter(opener); }}
            onOpenAutoFocus={(event) => { event.preventDefault(); focusField(content.current); }}>
            <form onSubmit={(event) => void submit(event)} noValidate>
              <div className="dialog-head">
                <Dialog.Title className="dialog-title">{words(view.title, "")}</Dialog.Title>
                <button type="button" className="icon" aria-label="Close" onClick={() => void close(true)}><Close /></button>
              </div>
              <div className="dialog-body">
                {trouble && <p className="trouble" role="alert">{trouble}</p>}
                <SurfaceProvider container={container} channel={channel} form={form} blocks={view.blocks} errors={errors} touched={touched} uploading={uploading}>
                  <Blocks blocks={view.blocks} />
                </SurfaceProvider>
              </div>
              <div className="dialog-foot">
                <button type="button" className="button" onClick={() => void close(false)}>{words(view.close, depth > 1 ? "Back" : "Close")}</button>
                {view.submit && (
                  <button type="submit" className="button solid primary" aria-busy={busy || undefined} disabled={uploads > 0}>{words(view.submit, "Submit")}</button>
                )}
              </div>
            </form>
          </Dialog.Content>
        </Dialog.Overlay>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
