import { useCallback, useMemo } from "react";
import { unescape, withEmoji } from "../blocks/mrkdwn";
import { useDirectory, useField, useSurface } from "../context";
import { keyOf } from "../state";
import type { Element, Option, OptionGroup } from "../types";
import type { Naming } from "./naming";
import { Picker, type Group, type Item } from "./picker";

type Props = { block: string; element: Element; naming: Naming; onPick?: (value: Record<string, unknown>) => Promise<boolean> };

const say = (text: { text: string } | undefined): string => withEmoji(unescape(text?.text ?? ""));
const ofOption = (option: Option): Item => ({
  key: option.value ?? say(option.text),
  label: say(option.text),
  description: option.description && say(option.description),
  raw: option,
});
const ofGroup = (group: OptionGroup): Group => ({ label: say(group.label), items: group.options.map(ofOption) });

function useNamed(kind: string, element: Element): Group[] {
  const { users, channels } = useDirectory();
  return useMemo(() => {
    if (kind === "users") {
      return [{ items: users.filter((u) => !u.deleted).map((u) => ({ key: u.id, label: u.real_name || u.name, description: `@${u.name}`, raw: u.id })) }];
    }
    const wanted = channels.filter((c) => c.kind !== "im" || (kind === "conversations" && (element.filter?.include ?? ["im"]).includes("im")));
    return [{ items: wanted.map((c) => ({ key: c.id, label: c.kind === "im" ? c.name : `#${c.name}`, raw: c.id })) }];
  }, [kind, users, channels, element]);
}

/** Every select of Slack: static, external, users, conversations, channels; one entry or several. */
export function Select({ block, element, naming, onPick }: Props) {
  const multiple = element.type.startsWith("multi_");
  const kind = element.type.replace(/^multi_/, "").replace(/_select$/, "");
  const { load, channel } = useSurface();
  const [value, set] = useField<unknown>(block, element);
  const named = useNamed(kind, element);
  const isOptions = kind === "static" || kind === "external";
  const groups = useMemo(
    () => (!isOptions ? named : element.option_groups ? element.option_groups.map(ofGroup) : [{ items: (element.options ?? []).map(ofOption) }]),
    [isOptions, named, element],
  );
  const search = useCallback(async (query: string) => (await load(block, element, query)).map(ofGroup), [load, block, element]);
  const chosen = value ?? (kind === "conversations" && element.default_to_current_conversation ? (multiple ? [channel] : channel) : null);
  const raws = (Array.isArray(chosen) ? chosen : chosen ? [chosen] : []) as unknown[];
  const byId = new Map(named[0]?.items.map((item) => [item.key, item]));
  const selected = raws.map((raw) => (isOptions ? ofOption(raw as Option) : (byId.get(raw as string) ?? { key: String(raw), label: String(raw), raw })));

  const change = async (items: Item[]) => {
    const next = multiple ? items.map((item) => item.raw) : (items[0]?.raw ?? null);
    const before = value;
    set(next);
    if (onPick && (multiple || next) && !(await onPick({ [keyOf[element.type]!]: next }))) set(before);
  };
  return (
    <Picker id={naming.id} name={naming.name} labelledBy={naming.labelledBy} describedBy={naming.describedBy} required={naming.required}
      invalid={naming.invalid} placeholder={say(element.placeholder) || (multiple ? "Select items" : "Select an item")} groups={groups}
      search={kind === "external" ? search : undefined} from={element.min_query_length ?? 3} selected={selected} multiple={multiple}
      most={element.max_selected_items} onChange={change} />
  );
}
