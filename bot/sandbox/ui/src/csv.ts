import Papa from "papaparse";

export type Preview = { header: string[]; rows: string[][]; total: number };

const shown = 5;
const columns = 40;
const longest = 60;
const largest = 10 * 1024 * 1024;

const cut = (cells: string[]): string[] =>
  cells.slice(0, columns).map((cell) => (cell.length > longest ? `${cell.slice(0, longest - 1)}…` : cell));

/** The header, the first rows and how many there are; null for what is no table. */
export function preview(text: string): Preview | null {
  if (text.includes("\0")) return null;
  let header: string[] | null = null;
  let total = 0;
  const rows: string[][] = [];
  Papa.parse<string[]>(text, {
    skipEmptyLines: "greedy",
    step: ({ data }) => {
      if (!header) {
        header = cut(data);
        return;
      }
      total += 1;
      if (rows.length < shown) rows.push(cut(data));
    },
  });
  return header && { header, rows, total };
}

const asked = new Map<string, Promise<Preview | null>>();

/** The preview of a file at its own address, asked for once however often its card is drawn. */
export function previewOf(url: string, size = 0): Promise<Preview | null> {
  if (size > largest) return Promise.resolve(null);
  const known = asked.get(url);
  if (known) return known;
  const coming = fetch(url)
    .then((response) => (response.ok ? response.text() : Promise.reject(new Error(String(response.status)))))
    .then(preview)
    .catch(() => {
      // The stand-in did not answer: the next time the card is drawn may go better.
      asked.delete(url);
      return null;
    });
  asked.set(url, coming);
  return coming;
}
