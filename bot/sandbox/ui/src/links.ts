/** The address, if it is one that may be followed: http, https or mail, nothing that runs. */
export function safe(address: string): string | null {
  try {
    const url = new URL(address, window.location.href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function openSafely(address: string): void {
  const href = safe(address);
  if (href) window.open(href, "_blank", "noopener,noreferrer");
}

/** Whether the page may load it: only what this machine's own stand-in serves leaves no trace outside. */
export const isOwn = (address: string): boolean =>
  address.startsWith("data:image/") || new URL(address, window.location.href).origin === window.location.origin;
