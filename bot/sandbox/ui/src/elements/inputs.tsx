import { useRef } from "react";
import { TextPieces } from "../blocks/text";
import { unescape, withEmoji } from "../blocks/mrkdwn";
import { useField } from "../context";
import { keyOf } from "../state";
import type { Element, Option } from "../types";
import { attributes, type Naming } from "./naming";

/** `onPick` sends the value to the bot, and says whether the person stayed with it (a confirm dialog may stand between). */
export type ElementProps = { block: string; element: Element; naming: Naming; onPick?: (value: Record<string, unknown>) => Promise<boolean> };

const hint = (element: Element): string => withEmoji(unescape(element.placeholder?.text ?? ""));
const kinds: Record<string, string> = { email_text_input: "email", url_text_input: "url" };
const waitAfterKey = 500;

export function TextInput({ block, element, naming, onPick }: ElementProps) {
  const [value, set] = useField<string | null>(block, element);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const triggers = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const change = (text: string) => {
    set(text === "" ? null : text);
    if (!onPick || !triggers.includes("on_character_entered")) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void onPick({ value: text }), waitAfterKey);
  };
  const shared = { ...attributes(naming), value: value ?? "", placeholder: hint(element), autoFocus: element.focus_on_load, autoComplete: "off" };
  if (element.multiline) {
    return (
      <>
        <textarea {...shared} rows={4} onChange={(event) => change(event.target.value)} />
        <Left value={value} most={element.max_length} />
      </>
    );
  }
  return (
    <>
      <input {...shared} type={kinds[element.type] ?? "text"} inputMode={element.type === "number_input" ? "decimal" : undefined}
        onChange={(event) => change(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !onPick || !triggers.includes("on_enter_pressed")) return;
          event.preventDefault();
          void onPick({ value: value ?? "" });
        }} />
      <Left value={value} most={element.max_length} />
    </>
  );
}

function Left({ value, most }: { value: string | null; most?: number }) {
  const left = most === undefined ? Infinity : most - (value ?? "").length;
  return left <= 20 ? <div className={`left ${left < 0 ? "over" : ""}`} aria-live="polite">{left} characters left</div> : null;
}

const dateKinds: Record<string, string> = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

const toLocal = (seconds: number): string => {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

export function DateInput({ block, element, naming, onPick }: ElementProps) {
  const [value, set] = useField<string | number | null>(block, element);
  const change = async (text: string) => {
    const next = !text ? null : element.type === "datetimepicker" ? Math.floor(new Date(text).getTime() / 1000) : text;
    set(next);
    // A year that is being typed comes as 0002, 0020, 0202: none of them is meant.
    const isWhole = !text.startsWith("0") || element.type === "timepicker";
    if (onPick && next !== null && isWhole && !(await onPick({ [keyOf[element.type]!]: next }))) set(value);
  };
  return (
    <input {...attributes(naming)} className="date" type={dateKinds[element.type]} title={hint(element) || undefined} autoFocus={element.focus_on_load}
      value={typeof value === "number" ? toLocal(value) : (value ?? "")} onChange={(event) => void change(event.target.value)} />
  );
}

export function Choices({ block, element, naming, onPick }: ElementProps) {
  const isMany = element.type === "checkboxes";
  const [value, set] = useField<Option | Option[] | null>(block, element);
  const chosen = new Set((Array.isArray(value) ? value : value ? [value] : []).map((option) => option.value));
  const toggle = async (option: Option, on: boolean) => {
    const next = isMany ? (element.options ?? []).filter((o) => (o.value === option.value ? on : chosen.has(o.value))) : option;
    set(next);
    if (onPick && !(await onPick({ [keyOf[element.type]!]: next }))) set(value);
  };
  return (
    <div className="choices" id={naming.id} role={isMany ? "group" : "radiogroup"} aria-labelledby={naming.labelledBy}
      aria-label={naming.labelledBy ? undefined : naming.name} aria-describedby={naming.describedBy}
      aria-required={!isMany && naming.required ? true : undefined}>
      {(element.options ?? []).map((option, at) => (
        <label key={option.value ?? at} className="choice">
          <input type={isMany ? "checkbox" : "radio"} name={naming.id} value={option.value} checked={chosen.has(option.value)}
            aria-invalid={naming.invalid || undefined} onChange={(event) => void toggle(option, event.target.checked)} />
          <span><TextPieces text={option.text} />{option.description && <small><TextPieces text={option.description} /></small>}</span>
        </label>
      ))}
    </div>
  );
}
