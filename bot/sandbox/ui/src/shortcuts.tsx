import * as Menu from "@radix-ui/react-dropdown-menu";
import { Refused } from "./api";
import { useDirectory, useDoing } from "./context";
import { usePlacedMenu } from "./elements/menus";
import { Bolt, Dots } from "./icons";
import type { Shortcut } from "./types";

type Props = { kind: Shortcut["type"]; at?: { channel: string; ts: string } };

/** The menu of the bot's shortcuts: at a message, or anywhere from the composer. */
export function Shortcuts({ kind, at }: Props) {
  const { shortcuts, botName } = useDirectory();
  const { api, notify } = useDoing();
  const { root, trigger, place } = usePlacedMenu();
  const isMessage = kind === "message";
  const offered = shortcuts.filter((shortcut) => shortcut.type === kind);
  const choose = async (shortcut: Shortcut) => {
    try {
      await api.shortcut(shortcut.callback_id, at);
    } catch (error) {
      notify(error instanceof Refused ? error.message : "This did not reach the bot.", "error");
    }
  };
  return (
    <Menu.Root {...root}>
      <Menu.Trigger asChild>
        <button ref={trigger} type="button" className={`icon ${offered.length ? "" : "without"}`} aria-label={isMessage ? "Actions on this message" : "Shortcuts"} title={isMessage ? "More actions" : "Shortcuts"}>
          {isMessage ? <Dots /> : <Bolt />}
        </button>
      </Menu.Trigger>
      <Menu.Portal container={place}>
        <Menu.Content className="menu" align={isMessage ? "end" : "start"} side={isMessage ? "bottom" : "top"} sideOffset={4} collisionPadding={8}>
          {offered.length > 0 && <Menu.Label className="menu-label">{botName}</Menu.Label>}
          {offered.map((shortcut) => (
            <Menu.Item key={shortcut.callback_id} className="menu-item" onSelect={() => void choose(shortcut)}>
              {shortcut.name}
              {shortcut.description && <small>{shortcut.description}</small>}
            </Menu.Item>
          ))}
          {offered.length === 0 && (
            <Menu.Item className="menu-item menu-none" aria-disabled="true">
              {botName} has no {isMessage ? "message shortcuts" : "shortcuts"}.
            </Menu.Item>
          )}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}
