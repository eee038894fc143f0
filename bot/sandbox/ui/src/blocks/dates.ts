const day = 86_400_000;

function midnight(moment: Date): number {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

function dayWord(moment: Date, now: Date): string | null {
  const days = Math.round((midnight(moment) - midnight(now)) / day);
  return days === 0 ? "today" : days === 1 ? "tomorrow" : days === -1 ? "yesterday" : null;
}

function ago(moment: Date, now: Date): string {
  const seconds = Math.round((moment.getTime() - now.getTime()) / 1000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, size] of [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60]] as const) {
    if (Math.abs(seconds) >= size) return format.format(Math.trunc(seconds / size), unit);
  }
  return format.format(seconds, "second");
}

const en = (options: Intl.DateTimeFormatOptions) => (moment: Date) => new Intl.DateTimeFormat("en-GB", options).format(moment);
const medium = en({ day: "numeric", month: "long", year: "numeric" });
const long = en({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const short = en({ day: "numeric", month: "short", year: "numeric" });
const numeric = (moment: Date) =>
  `${moment.getFullYear()}-${String(moment.getMonth() + 1).padStart(2, "0")}-${String(moment.getDate()).padStart(2, "0")}`;
export const clock = en({ hour: "2-digit", minute: "2-digit" });
export const full = en({ dateStyle: "full", timeStyle: "long" });

const pretty = (plain: (moment: Date) => string) => (moment: Date, now: Date) => dayWord(moment, now) ?? plain(moment);

// The words of Slack's <!date^...> markup.
const words: Record<string, (moment: Date, now: Date) => string> = {
  date_num: numeric,
  date_slash: en({ day: "2-digit", month: "2-digit", year: "numeric" }),
  date: medium,
  date_pretty: pretty(medium),
  date_short: short,
  date_short_pretty: pretty(short),
  date_long: long,
  date_long_full: long,
  date_long_pretty: pretty(long),
  day_divider_pretty: pretty(long),
  time: clock,
  time_secs: en({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  ago,
};

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * Fill Slack's date format in the reader's zone; a word it does not know stays as it is written.
 * A word with a capital, such as {Date_pretty}, begins a line: "Today" there, "today" elsewhere.
 */
export function formatDate(format: string, moment: Date, now: Date): string {
  return format.replace(/\{(\w+)\}/g, (whole, word: string) => {
    const filled = words[word.toLowerCase()]?.(moment, now);
    return filled === undefined ? whole : /^[A-Z]/.test(word) ? capital(filled) : filled;
  });
}

export const moment = (ts: string): Date => new Date(Number(ts) * 1000);
export const sameDay = (a: Date, b: Date): boolean => midnight(a) === midnight(b);
