import { createContext, useContext, useSyncExternalStore } from "react";
import type { Api } from "./api";
import type { Form } from "./state";
import type { Channel, Confirm, Container, Element, OptionGroup, Shortcut, User, UserGroup } from "./types";

/** Who and what can be named in a text, and what time it is in the sandbox. */
export type Directory = {
  me: User;
  users: User[];
  usergroups: UserGroup[];
  channels: Channel[];
  botName: string;
  shortcuts: Shortcut[];
  theme: "light" | "dark";
  /** How far the sandbox's clock is ahead of the browser's, in milliseconds. */
  ahead: number;
  goTo: (channel: string) => void;
};

export type Doing = {
  api: Api;
  confirm: (question: Confirm) => Promise<boolean>;
  notify: (text: string, level?: "error" | "info") => void;
};

/** One message or view, and how its elements reach the bot. */
export type Surface = {
  container: Container;
  form: Form;
  channel: string;
  errors: Record<string, string>;
  /** Sends it; false when the person stepped back from the confirm dialog. */
  act: (block: string, element: Element, value?: Record<string, unknown>) => Promise<boolean>;
  load: (block: string, element: Element, query: string) => Promise<OptionGroup[]>;
  /** An input was changed: its error no longer holds. */
  touched: (block: string) => void;
  /** Files still on their way: a view waits for them. */
  uploading: (delta: 1 | -1) => void;
};

export const DirectoryContext = createContext<Directory | null>(null);
export const DoingContext = createContext<Doing | null>(null);
export const SurfaceContext = createContext<Surface | null>(null);

function need<T>(value: T | null): T {
  if (value === null) throw new Error("used outside its provider");
  return value;
}

export const useDirectory = (): Directory => need(useContext(DirectoryContext));
export const useDoing = (): Doing => need(useContext(DoingContext));
export const useSurface = (): Surface => need(useContext(SurfaceContext));

export function useField<T>(block: string, element: Element): [T, (value: T) => void] {
  const { form, touched } = useSurface();
  useSyncExternalStore(form.subscribe, form.snapshot);
  const set = (value: T) => {
    form.set(block, element, value);
    touched(block);
  };
  return [form.value(block, element) as T, set];
}
