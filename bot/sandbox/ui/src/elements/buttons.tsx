import * as Menu from "@radix-ui/react-dropdown-menu";
import { useState } from "react";
import { unescape, withEmoji } from "../blocks/mrkdwn";
import { TextPieces } from "../blocks/text";
import { useDirectory, useSurface } from "../context";
import { Dots, ThumbDown, ThumbUp, Trash } from "../icons";
import { openSafely } from "../links";
import type { Element, Option } from "../types";
import type { ElementProps } from "./inputs";
import { usePlacedMenu } from "./menus";

const textOf = (element: Element): string => withEmoji(unescape(typeof element.text === "string" ? element.text : (element.text?.text ?? "")));

/** Whether a press is on its way to the bot, and a function that sends one. */
function usePress(block: string, element: Element): [boolean, (value?: Record<string, unknown>) => Promise<void>] {
  const { act } = useSurface();
  const [busy, setBusy] = useState(false);
  const press = async (value?: Record<string, unknown>) => {
    if (busy) return;
    setBusy(true);
    try {
      await act(block, element, value);
    } finally {
      setBusy(false);
    }
  };
  return [busy, press];
}

export function Button({ block, element }: ElementProps) {
  const { me } = useDirectory();
  const [busy, press] = usePress(block, element);
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(me.id)) return null;
  const onClick = () => {
    if (element.url) openSafely(element.url);
    void press();
  };
  return (
    <button type="button" className={`button ${element.style ?? ""}`} aria-label={element.accessibility_label} aria-busy={busy || undefined}
      aria-disabled={busy || undefined} onClick={onClick}>
      {textOf(element)}
    </button>
  );
}

export function Overflow({ block, element, naming }: ElementProps) {
  const [busy, press] = usePress(block, element);
  const { root, trigger, place } = usePlacedMenu();
  const pick = (option: Option) => {
    if (option.url) openSafely(option.url);
    void press({ selected_option: option });
  };
  return (
    <Menu.Root {...root}>
      <Menu.Trigger asChild>
        <button ref={trigger} type="button" className="button icon-only" aria-label={element.accessibility_label ?? naming.name ?? "More actions"} aria-busy={busy || undefined}>
          <Dots />
        </button>
      </Menu.Trigger>
      <Menu.Portal container={place}>
        <Menu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {(element.options ?? []).map((option, at) => (
            <Menu.Item key={option.value ?? at} className="menu-item" onSelect={() => pick(option)}>
              <TextPieces text={option.text} />
              {option.description && <small><TextPieces text={option.description} /></small>}
            </Menu.Item>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}

export function Feedback({ block, element }: ElementProps) {
  const [busy, press] = usePress(block, element);
  return (
    <span className="pair" aria-busy={busy || undefined}>
      {([["positive_button", ThumbUp], ["negative_button", ThumbDown]] as const).map(([key, Icon]) => {
        const button = element[key];
        return button && (
          <button key={key} type="button" className="button icon-only" aria-label={button.accessibility_label ?? button.text.text} title={button.text.text}
            onClick={() => void press({ value: button.value })}>
            <Icon />
          </button>
        );
      })}
    </span>
  );
}

export function IconButton({ block, element }: ElementProps) {
  const [busy, press] = usePress(block, element);
  const name = element.accessibility_label ?? (textOf(element) || element.icon);
  return (
    <button type="button" className="button icon-only" aria-label={name} title={name} aria-busy={busy || undefined} onClick={() => void press()}>
      {element.icon === "trash" ? <Trash /> : name}
    </button>
  );
}
