// Slack's own shapes, as the contract in API.md names them. What the page does not read stays `unknown`.

export type Text = { type: "plain_text" | "mrkdwn"; text: string; emoji?: boolean; verbatim?: boolean };
export type Option = { text: Text; value?: string; description?: Text; url?: string };
export type OptionGroup = { label: Text; options: Option[] };
export type Confirm = { title?: Text; text: Text; confirm?: Text; deny?: Text; style?: "primary" | "danger" };

export type Element = {
  type: string;
  action_id?: string;
  text?: Text | string;
  value?: string;
  style?: "primary" | "danger";
  url?: string;
  confirm?: Confirm;
  accessibility_label?: string;
  visible_to_user_ids?: string[];
  options?: Option[];
  option_groups?: OptionGroup[];
  placeholder?: Text;
  multiline?: boolean;
  min_length?: number;
  max_length?: number;
  min_value?: string;
  max_value?: string;
  is_decimal_allowed?: boolean;
  min_query_length?: number;
  max_selected_items?: number;
  filetypes?: string[];
  max_files?: number;
  focus_on_load?: boolean;
  default_to_current_conversation?: boolean;
  filter?: { include?: string[]; exclude_bot_users?: boolean };
  dispatch_action_config?: { trigger_actions_on?: string[] };
  image_url?: string;
  alt_text?: string;
  positive_button?: { text: Text; value: string; accessibility_label?: string };
  negative_button?: { text: Text; value: string; accessibility_label?: string };
  icon?: string;
  elements?: unknown[];
  [key: string]: unknown;
};

export type Block = {
  type: string;
  block_id?: string;
  text?: Text;
  fields?: Text[];
  accessory?: Element;
  elements?: Element[];
  label?: Text;
  hint?: Text;
  element?: Element;
  optional?: boolean;
  dispatch_action?: boolean;
  [key: string]: unknown;
};

export type SlackFile = { id: string; name?: string; title?: string; size?: number; mimetype?: string; filetype?: string; url?: string; mode?: string };

export type Message = {
  ts: string;
  channel: string;
  user: string;
  from: "bot" | "person" | "slackbot";
  text: string;
  blocks?: Block[];
  ephemeral_for?: string;
  thread_ts?: string;
  subtype?: string;
  reply_count?: number;
  latest_reply?: string;
  edited?: { ts: string };
  files?: SlackFile[];
};

export type View = {
  id: string;
  type: "modal" | "home";
  title?: Text;
  submit?: Text | null;
  close?: Text | null;
  blocks: Block[];
  hash?: string;
};

export type User = { id: string; name: string; real_name?: string; title?: string; is_bot?: boolean; deleted?: boolean; image?: string };
export type UserGroup = { id: string; handle: string; name: string; users?: string[] };
export type Channel = { id: string; name: string; kind: string; topic?: string; user?: string };
export type Command = { command: string; usage_hint?: string; description?: string; usages?: { usage: string; summary?: string }[] };
export type Shortcut = { name: string; type: "global" | "message"; callback_id: string; description?: string };

/** One step of the tour: what to read, what to do from here, and the words of the bot that end it. */
export type Step = { title: string; text: string; command?: string; link?: { text: string; url: string }; until?: string; next?: string };
export type FirstVisit = { text: string; suggestions: { command: string; does: string }[]; steps: Step[] };

export type Snapshot = {
  event_id: string;
  now: number;
  team: { id: string; name: string };
  me: User;
  users: User[];
  usergroups: UserGroup[];
  bot: { id: string; name: string };
  channels: Channel[];
  messages: Record<string, Message[]>;
  more: Record<string, boolean>;
  views: View[];
  home: View | null;
  commands: Command[];
  shortcuts: Shortcut[];
  links: Record<string, string>;
  first_visit: FirstVisit | null;
};

export type Container = { type: "message"; channel: string; ts: string } | { type: "view"; view_id: string };

/** One input's entry in Slack's `state.values`: `type` and the one key that its type has. */
export type Entry = { type: string } & Record<string, unknown>;
export type Values = Record<string, Record<string, Entry>>;
