import type { Container, Entry, Message, Option, OptionGroup, SlackFile, Snapshot, User, Values } from "./types";

export type Answer = { ok: boolean; error?: string; text?: string };

/** The stand-in refused, or could not be reached. The message is a sentence to show. */
export class Refused extends Error {}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Refused("The sandbox does not answer. It may have been stopped.");
  }
  const body = (await response.json().catch(() => ({}))) as Answer;
  if (!response.ok || body.ok === false) throw new Refused(body.text || body.error || `The sandbox answered ${response.status}.`);
  return body as T;
}

export const people = async (): Promise<User[]> => (await ask<{ people: User[] }>("/page/people")).people;

/** Everything the page asks of the stand-in, as one person. */
export class Api {
  constructor(readonly person: string) {}

  #path(name: string, query: Record<string, string> = {}): string {
    return `/page/${name}?${new URLSearchParams({ person: this.person, ...query })}`;
  }

  #post<T = Answer>(name: string, body: unknown): Promise<T> {
    return ask<T>(this.#path(name), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  snapshot = () => ask<Snapshot>(this.#path("snapshot"));
  events = (after: string) => new EventSource(this.#path("events", { after }));
  older = (channel: string, before: string) =>
    ask<{ messages: Message[]; more: boolean }>(this.#path("messages", { channel, before, limit: "200" }));
  command = (channel: string, command: string, text: string) => this.#post("commands", { channel, command, text });
  say = (channel: string, text: string, thread_ts?: string) => this.#post("posts", { channel, text, thread_ts });
  act = (body: { container: Container; block_id: string; action_id: string; value?: Record<string, unknown>; state: Values }) =>
    this.#post("actions", body);
  submit = (view_id: string, state: Values) => this.#post<Answer & { errors?: Record<string, string> }>("views/submit", { view_id, state });
  close = (view_id: string, all: boolean) => this.#post("views/close", { view_id, all });
  opened = (tab: "home" | "messages") => this.#post("home", { tab });
  options = (container: Container, block_id: string, action_id: string, query: string) =>
    this.#post<{ options?: Option[]; option_groups?: OptionGroup[] }>("options", { container, block_id, action_id, query });
  shortcut = (callback_id: string, at: { channel: string; ts: string } | Record<string, never> = {}) => this.#post("shortcuts", { callback_id, ...at });
  upload = (file: File, to: Record<string, string> = {}) =>
    ask<{ file: SlackFile }>(this.#path("files", { name: file.name, ...to }), { method: "POST", body: file });
}

export type { Entry };
