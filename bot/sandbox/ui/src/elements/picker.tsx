import { autoUpdate, flip, offset, size, useFloating } from "@floating-ui/react-dom";
import { useCombobox } from "downshift";
import { useEffect, useMemo, useRef, useState, type ChangeEvent } from "react";
import { Close, Down } from "../icons";

export type Item = { key: string; label: string; description?: string; raw: unknown };
export type Group = { label?: string; items: Item[] };

type Props = {
  id?: string;
  name?: string;
  labelledBy?: string;
  describedBy?: string;
  placeholder: string;
  groups: Group[];
  /** With `search` the entries come from the bot, from `from` characters on. */
  search?: (query: string) => Promise<Group[]>;
  from?: number;
  selected: Item[];
  multiple: boolean;
  most?: number;
  required?: boolean;
  invalid?: boolean;
  onChange: (items: Item[]) => void;
};

const waitAfterKey = 250;

function matching(groups: Group[], query: string): Group[] {
  const wanted = query.trim().toLowerCase();
  if (!wanted) return groups;
  return groups
    .map((group) => ({ ...group, items: group.items.filter((item) => item.label.toLowerCase().includes(wanted)) }))
    .filter((group) => group.items.length);
}

/** Entries for what was typed: from the bot when it searches, else those at hand. */
function useEntries({ groups, search, from = 3 }: Props, query: string, open: boolean): { shown: Group[]; word: string } {
  const [found, setFound] = useState<Group[] | null>(null);
  const asks = Boolean(search) && open && query.length >= from;
  useEffect(() => {
    setFound(null);
    if (!asks || !search) return undefined;
    let current = true;
    const timer = setTimeout(() => {
      search(query).then((answer) => current && setFound(answer), () => current && setFound([]));
    }, waitAfterKey);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [asks, query, search]);
  if (!search) return { shown: matching(groups, query), word: "No entry matches" };
  if (!asks) return { shown: [], word: `Type ${from} or more characters` };
  return { shown: found ?? [], word: found ? "Nothing found" : "Searching…" };
}

/** A select with search, for one entry or several. */
export function Picker(props: Props) {
  const { selected, multiple, onChange, most } = props;
  const single = multiple ? null : (selected[0] ?? null);
  const [typed, setTyped] = useState<string | null>(null);
  const [open, setOpen] = useState(false);
  const input = useRef<HTMLInputElement | null>(null);
  const { shown, word } = useEntries(props, typed ?? "", open);
  const taken = useMemo(() => new Set(selected.map((item) => item.key)), [selected]);
  const visible = multiple ? shown.map((g) => ({ ...g, items: g.items.filter((item) => !taken.has(item.key)) })) : shown;
  const items = visible.flatMap((group) => group.items);
  const isFull = multiple && most !== undefined && selected.length >= most;
  const { refs, floatingStyles } = useFloating({
    open,
    strategy: "fixed",
    placement: "bottom-start",
    transform: false,
    whileElementsMounted: autoUpdate,
    middleware: [
      offset(4),
      flip({ padding: 8 }),
      size({ padding: 8, apply: ({ availableHeight, rects, elements }) => {
        elements.floating.style.maxHeight = `${Math.min(320, Math.max(120, availableHeight))}px`;
        elements.floating.style.minWidth = `${rects.reference.width}px`;
      } }),
    ],
  });

  const choose = (item: Item) => {
    setTyped(null);
    if (!multiple) onChange([item]);
    else if (!isFull) onChange([...selected, item]);
  };
  const box = useCombobox<Item>({
    items,
    id: props.id ? `${props.id}-box` : undefined,
    isOpen: open,
    selectedItem: null,
    inputValue: typed ?? single?.label ?? "",
    itemToString: (item) => item?.label ?? "",
    onIsOpenChange: ({ isOpen }) => {
      setOpen(Boolean(isOpen));
      if (!isOpen) setTyped(null);
    },
    onSelectedItemChange: ({ selectedItem }) => selectedItem && choose(selectedItem),
    stateReducer: (state, { type, changes }) => {
      if (type === useCombobox.stateChangeTypes.InputClick) return { ...changes, isOpen: true };
      // Several are chosen one by one: leaving the list takes none with it.
      if (multiple && type === useCombobox.stateChangeTypes.InputBlur) return { ...changes, selectedItem: state.selectedItem };
      const chosen = type === useCombobox.stateChangeTypes.ItemClick || type === useCombobox.stateChangeTypes.InputKeyDownEnter;
      return chosen && multiple ? { ...changes, isOpen: !isFull, highlightedIndex: state.highlightedIndex } : changes;
    },
  });

  const naming: Record<string, string | undefined> = { "aria-labelledby": props.labelledBy, "aria-label": props.labelledBy ? undefined : props.name };
  const drop = (item: Item) => onChange(selected.filter((other) => other.key !== item.key));
  let index = -1;
  return (
    <div className="picker">
      <div className={`picker-field ${props.invalid ? "invalid" : ""}`} ref={refs.setReference}>
        {multiple && selected.map((item) => (
          <span className="chip" key={item.key}>
            {item.label}
            <button type="button" aria-label={`Remove ${item.label}`} onClick={() => drop(item)}><Close size={12} /></button>
          </span>
        ))}
        <input
          {...box.getInputProps({
            id: props.id,
            ref: input,
            ...naming,
            placeholder: multiple && selected.length ? "" : props.placeholder,
            "aria-describedby": props.describedBy,
            "aria-required": props.required || undefined,
            "aria-invalid": props.invalid || undefined,
            autoComplete: "off",
            // Downshift tells of a change only after React has drawn: too late for the next key.
            onChange: (event: ChangeEvent<HTMLInputElement>) => {
              setTyped(event.target.value);
              if (!multiple && single && event.target.value === "") onChange([]);
            },
            onFocus: () => input.current?.select(),
            onKeyDown: (event) => {
              if (event.key === "Enter" && !open) event.preventDefault();
              const last = selected.at(-1);
              if (multiple && event.key === "Backspace" && !typed && last) drop(last);
            },
          })}
        />
        <Down size={14} />
      </div>
      <div className={open ? "list" : "hidden"} ref={refs.setFloating} style={open ? floatingStyles : undefined}>
        <ul {...box.getMenuProps({ "aria-label": "Choices" })}>
          {open && visible.map((group, at) => (
            <li key={group.label ?? at} role="none">
              {group.label && group.items.length > 0 && <div className="list-head" role="presentation">{group.label}</div>}
              <ul role="none">
                {group.items.map((item) => {
                  index += 1;
                  const isChosen = !multiple && single?.key === item.key;
                  return (
                    <li key={item.key} className={`list-item ${box.highlightedIndex === index ? "lit" : ""} ${isChosen ? "chosen" : ""}`}
                      {...box.getItemProps({ item, index, "aria-selected": isChosen })}>
                      {item.label}
                      {item.description && <small>{item.description}</small>}
                    </li>
                  );
                })}
              </ul>
            </li>
          ))}
        </ul>
        {open && items.length === 0 && <div className="list-empty" role="status">{word}</div>}
        {open && isFull && <div className="list-empty" role="status">At most {most} can be chosen</div>}
      </div>
    </div>
  );
}
