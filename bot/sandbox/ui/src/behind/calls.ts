import { Refused } from "../api";

export type Organisation = { id: string; name: string; terms_signed: boolean };
export type Server = { name: string; devices: number; has_token: boolean; rejected: boolean; expires_at: string | null };
export type Location = { name: string; has_token: boolean; revoked: boolean; portals: { total: number; left: number } | null };
export type State = {
  now: number;
  ahead_s: number;
  organisations: Organisation[];
  servers: Server[];
  locations: Location[];
  throttle: boolean;
  slow: boolean;
  refuse_posts: boolean;
  refuse_charts: boolean;
  moved: { server: string; to: string | null; count: number } | null;
};

export type Side = "slack" | "bot" | "apple";
export type Shown = { headers?: Record<string, string>; body?: unknown };
export type Entry = {
  n: number;
  at: number;
  from: Side;
  to: Side;
  method: string;
  path: string;
  note: string;
  status: number | null;
  took_ms: number;
  is_error: boolean;
  sent: Shown;
  answered: Shown;
};

async function ask<T>(path: string, body?: unknown): Promise<T> {
  const init: RequestInit = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(`/page/behind/${path}`, init);
  } catch {
    throw new Refused("The sandbox does not answer. It may have been stopped.");
  }
  const answer = (await response.json().catch(() => ({}))) as { ok?: boolean; text?: string };
  if (!response.ok || !answer.ok) throw new Refused(answer.text ?? `The sandbox answered ${response.status}.`);
  return answer as T;
}

export type Switch = "terms" | "rejected" | "revoked" | "throttle" | "slow" | "refuse_posts" | "refuse_charts";

export const calls = {
  state: () => ask<State>("state"),
  throw: (name: Switch, on: boolean, of?: string) => ask<State>("switches", { switch: name, on, ...(of ? { of } : {}) }),
  putBack: () => ask<State>("back", {}),
  add: (server: string, count: number) => ask<State>("devices", { act: "add", server, count }),
  move: (server: string, count: number, to: string | null) => ask<State>("devices", { act: "move", server, count, to }),
  bringBack: () => ask<State>("devices", { act: "back" }),
  licences: (act: "use" | "buy", location: string, count: number) => ask<State>("licences", { act, location, count }),
  moveClock: (days: number) => ask<State>("clock", { days }),
  clear: () => ask("clear", {}),
  events: () => new EventSource("/page/behind/events"),
};
