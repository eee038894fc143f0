import type { Block, Element, Entry, Option, Values } from "./types";

/** The key under which an element's value stands in Slack's state, by the element's type. */
export const keyOf: Record<string, string> = {
  plain_text_input: "value",
  number_input: "value",
  email_text_input: "value",
  url_text_input: "value",
  static_select: "selected_option",
  external_select: "selected_option",
  radio_buttons: "selected_option",
  multi_static_select: "selected_options",
  multi_external_select: "selected_options",
  checkboxes: "selected_options",
  users_select: "selected_user",
  conversations_select: "selected_conversation",
  channels_select: "selected_channel",
  multi_users_select: "selected_users",
  multi_conversations_select: "selected_conversations",
  multi_channels_select: "selected_channels",
  datepicker: "selected_date",
  timepicker: "selected_time",
  datetimepicker: "selected_date_time",
  file_input: "files",
};

const initials: Record<string, string> = {
  value: "initial_value",
  selected_option: "initial_option",
  selected_options: "initial_options",
  selected_user: "initial_user",
  selected_users: "initial_users",
  selected_conversation: "initial_conversation",
  selected_conversations: "initial_conversations",
  selected_channel: "initial_channel",
  selected_channels: "initial_channels",
  selected_date: "initial_date",
  selected_time: "initial_time",
  selected_date_time: "initial_date_time",
};

const isList = (key: string): boolean => key === "files" || key.endsWith("s");

export function entry(element: Element, value: unknown): Entry {
  return { type: element.type, [keyOf[element.type]!]: value };
}

function initial(element: Element): unknown {
  const key = keyOf[element.type]!;
  return element[initials[key] ?? ""] ?? (isList(key) ? [] : null);
}

/** What people typed and chose in one message or view. Only what was touched is kept: the rest is as the bot drew it. */
export class Form {
  #touched: Values = {};
  #listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = (): Values => this.#touched;

  value(block: string, element: Element): unknown {
    const touched = this.#touched[block]?.[element.action_id ?? ""];
    return touched?.type === element.type ? touched[keyOf[element.type]!] : initial(element);
  }

  set(block: string, element: Element, value: unknown): void {
    const inside = { ...this.#touched[block], [element.action_id ?? ""]: entry(element, value) };
    this.#touched = { ...this.#touched, [block]: inside };
    this.#listeners.forEach((listener) => listener());
  }

  /** The state of all inputs that `blocks` hold now, as Slack sends it. */
  values(blocks: Block[]): Values {
    const found: Values = {};
    for (const [block, element] of stateful(blocks)) {
      (found[block] ??= {})[element.action_id ?? ""] = entry(element, this.value(block, element));
    }
    return found;
  }
}

function inside(block: Block): Element[] {
  if (block.type === "input") return block.element ? [block.element] : [];
  if (block.type === "actions") return block.elements ?? [];
  return block.type === "section" && block.accessory ? [block.accessory] : [];
}

function stateful(blocks: Block[]): [string, Element][] {
  return blocks.flatMap((block): [string, Element][] => {
    const children = block.type === "container" ? stateful((block.child_blocks as Block[] | undefined) ?? []) : [];
    const own = inside(block).filter((element) => element.type in keyOf);
    return [...children, ...own.map((element): [string, Element] => [block.block_id ?? "", element])];
  });
}

const isEmpty = (value: unknown): boolean => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

function textProblem(element: Element, text: string): string | null {
  const shortest = element.min_length ?? 0;
  if (text.length < shortest) return `Enter at least ${shortest} characters.`;
  if (element.max_length && text.length > element.max_length) return `Enter at most ${element.max_length} characters.`;
  return null;
}

function numberProblem(element: Element, text: string): string | null {
  const pattern = element.is_decimal_allowed ? /^[+-]?\d+(\.\d+)?$/ : /^[+-]?\d+$/;
  if (!pattern.test(text.trim())) return element.is_decimal_allowed ? "Enter a number." : "Enter a whole number.";
  if (element.min_value !== undefined && Number(text) < Number(element.min_value)) return `Enter ${element.min_value} or more.`;
  if (element.max_value !== undefined && Number(text) > Number(element.max_value)) return `Enter ${element.max_value} or less.`;
  return null;
}

function problem(element: Element, value: unknown, optional: boolean): string | null {
  if (isEmpty(value)) return optional ? null : "Please complete this required field.";
  const text = typeof value === "string" ? value : "";
  switch (element.type) {
    case "plain_text_input":
      return textProblem(element, text);
    case "number_input":
      return numberProblem(element, text);
    case "email_text_input":
      return /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text) ? null : "Enter an e-mail address, such as ana@example.com.";
    case "url_text_input":
      return /^https?:\/\/[^\s]+$/.test(text) ? null : "Enter an address that begins with http:// or https://.";
    default:
      return null;
  }
}

/** What Slack's own client finds before it sends a view: block id -> sentence. */
export function problems(blocks: Block[], form: Form): Record<string, string> {
  const found: Record<string, string> = {};
  for (const block of blocks) {
    const element = block.type === "input" ? block.element : undefined;
    if (!element || !block.block_id || !(element.type in keyOf)) continue;
    const wrong = problem(element, form.value(block.block_id, element), Boolean(block.optional));
    if (wrong) found[block.block_id] = wrong;
  }
  return found;
}

export const allOptions = (element: Element): Option[] => [
  ...(element.options ?? []),
  ...(element.option_groups ?? []).flatMap((group) => group.options),
];
