// Slack's mrkdwn as the elements of a rich_text block, which the drawing library shows letter by letter.
// Its own mrkdwn parser reads Markdown instead (it drops numbered lists and turns 10:30:45 into an emoji).
import { get as emojiOf } from "node-emoji";

type Style = { bold?: true; italic?: true; strike?: true; code?: true };
export type Inline = { type: string; style?: Style; [key: string]: unknown };
export type Piece = { type: "rich_text_section" | "rich_text_quote" | "rich_text_preformatted"; elements: Inline[] };

export const unescape = (text: string): string =>
  text.replace(/&(amp|lt|gt);/g, (_, name: string) => (name === "amp" ? "&" : name === "lt" ? "<" : ">"));

/** Emoji names become the characters; what only looks like one, such as 10:30:45, stays. */
export function withEmoji(text: string): string {
  return text.replace(/(^|[^\w:]):([a-z0-9_+'-]+):(?![\w:])/g, (whole, before: string, name: string) => {
    const found = /[a-z+-]/.test(name) && (emojiOf(name) ?? emojiOf(name.replace(/^large_/, "")));
    return found ? before + found : whole;
  });
}

const marks: Record<string, keyof Style> = { "*": "bold", _: "italic", "~": "strike" };
const bare = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]*_~]/g;

function withStyle(element: Inline, style: Style): Inline {
  return Object.keys(style).length ? { ...element, style } : element;
}

const beginning = (format: string): string => format.replace(/^\{[a-z]/, (start) => start.toUpperCase());

function angle(body: string, style: Style, isFirst: boolean): Inline {
  const [target = "", ...rest] = body.split("|");
  const label = unescape(rest.join("|"));
  const plain = (text: string) => withStyle({ type: "text", text }, style);
  if (target.startsWith("@")) return withStyle({ type: "user", user_id: target.slice(1) }, style);
  if (target.startsWith("#")) return withStyle({ type: "channel", channel_id: target.slice(1) }, style);
  if (target.startsWith("!subteam^")) return withStyle({ type: "usergroup", usergroup_id: target.slice(9) }, style);
  if (/^!(here|channel|everyone)$/.test(target)) return withStyle({ type: "broadcast", range: target.slice(1) }, style);
  if (target.startsWith("!date^")) {
    const [, stamp = "", format = ""] = target.split("^");
    return /^\d+$/.test(stamp) && format ? withStyle({ type: "date", timestamp: Number(stamp), format: isFirst ? beginning(format) : format }, style) : plain(label);
  }
  if (target.startsWith("!")) return plain(label || target);
  return withStyle({ type: "link", url: unescape(target), text: label || unescape(target).replace(/^mailto:/, "") }, style);
}

function words(text: string, style: Style): Inline[] {
  const found: Inline[] = [];
  let from = 0;
  const say = (part: string) => part && found.push(withStyle({ type: "text", text: withEmoji(unescape(part)) }, style));
  for (const match of text.matchAll(bare)) {
    say(text.slice(from, match.index));
    found.push(withStyle({ type: "link", url: unescape(match[0]), text: unescape(match[0]) }, style));
    from = match.index + match[0].length;
  }
  say(text.slice(from));
  return found;
}

const isWord = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}]/u.test(character);

/** Where the mark opened at `at` closes, or -1: it hugs its words and stands at their edges, in one line. */
function closing(text: string, at: number): number {
  const mark = text[at]!;
  if (isWord(text[at - 1]) || /\s/.test(text[at + 1] ?? " ") || text[at + 1] === mark) return -1;
  for (let end = at + 2; end < text.length; end += 1) {
    const here = text[end];
    if (here === "\n") return -1;
    if (here === "<") end = Math.max(end, text.indexOf(">", end));
    else if (here === "`") end = Math.max(end, text.indexOf("`", end + 1));
    else if (here === mark && !/\s/.test(text[end - 1]!) && !isWord(text[end + 1])) return end;
  }
  return -1;
}

function inline(text: string, style: Style = {}): Inline[] {
  const found: Inline[] = [];
  let from = 0;
  const flush = (to: number) => found.push(...words(text.slice(from, to), style));
  for (let at = 0; at < text.length; at += 1) {
    const here = text[at]!;
    let end = -1;
    let made: Inline[] = [];
    if (here === "<" && (end = text.indexOf(">", at)) > at + 1) made = [angle(text.slice(at + 1, end), style, at === 0 || text[at - 1] === "\n")];
    else if (here === "`" && (end = text.indexOf("`", at + 1)) > at + 1 && !text.slice(at, end).includes("\n"))
      made = [{ type: "text", text: unescape(text.slice(at + 1, end)), style: { ...style, code: true } }];
    else if (here in marks && (end = closing(text, at)) > 0) made = inline(text.slice(at + 1, end), { ...style, [marks[here]!]: true });
    if (!made.length) continue;
    flush(at);
    found.push(...made);
    at = end;
    from = end + 1;
  }
  flush(text.length);
  return found;
}

function lines(text: string): Piece[] {
  const pieces: { quote: boolean; lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    const quoted = /^(?:&gt;|>) ?/.exec(line);
    const last = pieces.at(-1);
    const content = quoted ? line.slice(quoted[0].length) : line;
    if (last && last.quote === Boolean(quoted)) last.lines.push(content);
    else pieces.push({ quote: Boolean(quoted), lines: [content] });
  }
  return pieces
    .filter((piece) => piece.quote || piece.lines.some((line) => line !== ""))
    .map((piece) => ({ type: piece.quote ? "rich_text_quote" : "rich_text_section", elements: inline(piece.lines.join("\n")) }));
}

export function mrkdwn(text: string): Piece[] {
  return text.split(/```\n?/).flatMap((part, index, all): Piece[] => {
    if (index % 2 === 0) return lines(index === 0 ? part : part.replace(/^\n/, ""));
    if (index === all.length - 1) return lines("```" + part);
    return [{ type: "rich_text_preformatted", elements: [{ type: "text", text: unescape(part.replace(/\n$/, "")) }] }];
  });
}

export const plain = (text: string): Piece[] => [
  { type: "rich_text_section", elements: [{ type: "text", text: withEmoji(unescape(text)) }] },
];
