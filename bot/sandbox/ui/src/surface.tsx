import { useMemo, type ReactNode } from "react";
import { Refused } from "./api";
import { SurfaceContext, useDoing, type Surface } from "./context";
import { entry, keyOf, type Form } from "./state";
import type { Block, Container, Element } from "./types";

type Props = {
  container: Container;
  channel: string;
  form: Form;
  blocks: Block[];
  errors?: Record<string, string>;
  touched?: (block: string) => void;
  uploading?: (delta: 1 | -1) => void;
  children: ReactNode;
};

const nothing = {};
const ignore = () => undefined;

/** Gives the blocks inside it their way to the bot: confirm, send, and say what went wrong. */
export function SurfaceProvider({ container, channel, form, blocks, errors = nothing, touched = ignore, uploading = ignore, children }: Props) {
  const { api, confirm, notify } = useDoing();
  const surface = useMemo<Surface>(() => {
    const act = async (block: string, element: Element, value?: Record<string, unknown>) => {
      if (element.confirm && !(await confirm(element.confirm))) return false;
      const state = form.values(blocks);
      const key = keyOf[element.type];
      if (key && value && key in value) (state[block] ??= {})[element.action_id ?? ""] = entry(element, value[key]);
      try {
        const action_id = element.action_id ?? "";
        const answer = await api.act({ container, block_id: block, action_id, value, state });
        if (answer.error && answer.text) notify(answer.text, "error");
      } catch (error) {
        notify(error instanceof Refused ? error.message : "This did not reach the bot.", "error");
      }
      return true;
    };
    const load = async (block: string, element: Element, query: string) => {
      const answer = await api.options(container, block, element.action_id ?? "", query);
      return answer.option_groups ?? [{ label: { type: "plain_text" as const, text: "" }, options: answer.options ?? [] }];
    };
    return { container, form, channel, errors, act, load, touched, uploading };
  }, [container, channel, form, blocks, errors, touched, uploading, api, confirm, notify]);
  return <SurfaceContext.Provider value={surface}>{children}</SurfaceContext.Provider>;
}
