import { useRef, useState, type RefObject } from "react";

type Placed = { root: { open: boolean; onOpenChange: (open: boolean) => void; modal: false }; trigger: RefObject<HTMLButtonElement | null>; place: HTMLElement | null };

/** A menu stands in the part of the page in which its button is, so that screen readers find it there. */
export function usePlacedMenu(): Placed {
  const [open, onOpenChange] = useState(false);
  const trigger = useRef<HTMLButtonElement>(null);
  return { root: { open, onOpenChange, modal: false }, trigger, place: trigger.current?.closest<HTMLElement>("[role=dialog], aside, main") ?? null };
}
