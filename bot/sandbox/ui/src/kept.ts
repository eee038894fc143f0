/** `tab` is forgotten with the tab, so that two tabs can be two people. */
type Place = "local" | "tab";

// Where it is forbidden, even naming the storage throws.
const storage = (place: Place): Storage => (place === "tab" ? sessionStorage : localStorage);

/** What this browser keeps from one visit to the next; nothing where it keeps nothing, or what it kept is broken. */
export function kept<Kept>(key: string, place: Place = "local"): Kept | null {
  try {
    return JSON.parse(storage(place).getItem(key) ?? "null") as Kept | null;
  } catch {
    return null;
  }
}

export function keep(key: string, value: unknown, place: Place = "local"): void {
  try {
    storage(place).setItem(key, JSON.stringify(value));
  } catch {
    // A private window, or one that is full: the page works without.
  }
}
