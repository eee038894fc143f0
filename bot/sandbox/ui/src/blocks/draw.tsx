import { Component, useId, useMemo, type ReactNode } from "react";
import { Message as Drawing, type Block as DrawnBlock } from "slack-blocks-to-jsx";
import { useDirectory, useSurface } from "../context";
import { Button, Feedback, IconButton, Overflow } from "../elements/buttons";
import { FileInput } from "../elements/files";
import { Choices, DateInput, TextInput, type ElementProps } from "../elements/inputs";
import type { Naming } from "../elements/naming";
import { Select } from "../elements/selects";
import { Warn } from "../icons";
import { isOwn } from "../links";
import type { Block, Element, Text } from "../types";
import { hooks, libraryData, Link, richText, TextPieces } from "./text";

/** What the page cannot show stands there in words, never as nothing. */
export function Notice({ children }: { children: ReactNode }) {
  return <div className="unsupported" role="note"><Warn size={16} /> <span>{children}</span></div>;
}

class Guard extends Component<{ what: string; children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    return this.state.broken ? <Notice>This could not be drawn ({this.props.what}).</Notice> : this.props.children;
  }
}

/** Blocks without anything to press or fill, as the library draws them. */
function Drawn({ blocks }: { blocks: unknown[] }) {
  const directory = useDirectory();
  const data = useMemo(() => libraryData(directory), [directory]);
  return <Drawing withoutWrapper theme={directory.theme} logo="" name="" blocks={blocks as DrawnBlock[]} data={data} hooks={hooks} />;
}

type Cell = { type: string; text?: string; value?: unknown };

const asRich = (cell: Cell | null): unknown =>
  cell?.type === "rich_text" ? cell : richText({ type: "plain_text", text: String(cell?.text ?? cell?.value ?? "") });

/** The block in a shape that the library draws faithfully; null when it has to be drawn here. */
function forLibrary(block: Block): unknown | null {
  switch (block.type) {
    case "section":
      return block.text && !block.accessory && !block.fields ? richText(block.text) : null;
    case "table":
      return { ...block, rows: ((block.rows as (Cell | null)[][] | undefined) ?? []).map((row) => row.map(asRich)) };
    case "divider":
    case "rich_text":
    case "markdown":
    case "data_visualization":
    case "alert":
    case "plan":
    case "task_card":
    case "file":
      return { ...block, block_id: undefined };
    default:
      return null;
  }
}

const stateless: Record<string, (props: ElementProps) => ReactNode> = {
  button: Button,
  workflow_button: Button,
  overflow: Overflow,
  feedback_buttons: Feedback,
  icon_button: IconButton,
};

const inputs: Record<string, (props: ElementProps) => ReactNode> = {
  plain_text_input: TextInput,
  number_input: TextInput,
  email_text_input: TextInput,
  url_text_input: TextInput,
  datepicker: DateInput,
  timepicker: DateInput,
  datetimepicker: DateInput,
  checkboxes: Choices,
  radio_buttons: Choices,
  file_input: FileInput,
};
for (const kind of ["static", "external", "users", "conversations", "channels"]) {
  inputs[`${kind}_select`] = Select;
  inputs[`multi_${kind}_select`] = Select;
}

const names: Record<string, string> = {
  datepicker: "Date",
  timepicker: "Time",
  datetimepicker: "Date and time",
  checkboxes: "Options",
  radio_buttons: "Options",
  overflow: "More actions",
  users_select: "Person",
  multi_users_select: "People",
  channels_select: "Channel",
  multi_channels_select: "Channels",
  conversations_select: "Conversation",
  multi_conversations_select: "Conversations",
};

function Picture({ element }: { element: Element }) {
  const address = element.image_url ?? "";
  if (address && isOwn(address)) return <img src={address} alt={element.alt_text ?? ""} />;
  return <Notice>Picture: {element.alt_text || "without description"}{address && <> (<Link href={address}>open</Link>)</>}. The sandbox loads nothing from outside.</Notice>;
}

/** An element that acts at once: in an actions block, or beside a section. */
function Acting({ block, element }: { block: string; element: Element }) {
  const { act } = useSurface();
  const id = useId();
  if (element.type === "image") return <Picture element={element} />;
  const Drawer = stateless[element.type] ?? inputs[element.type];
  if (!Drawer || element.type === "file_input") return <Notice>The sandbox does not show the element <code>{element.type}</code>.</Notice>;
  const name = element.accessibility_label ?? element.placeholder?.text ?? names[element.type] ?? "Select an item";
  const onPick = (value: Record<string, unknown>) => act(block, element, value);
  return <Drawer block={block} element={element} naming={{ id, name }} onPick={onPick} />;
}

function Section({ block }: { block: Block }) {
  const { text, fields, accessory, block_id = "" } = block;
  const isWide = accessory && ["checkboxes", "radio_buttons"].includes(accessory.type);
  return (
    <div className={`section ${isWide ? "section-wide" : ""}`}>
      <div className="section-text">
        {text && <Drawn blocks={[richText(text)]} />}
        {fields && <div className="fields">{fields.map((field: Text, at) => <Drawn key={at} blocks={[richText(field)]} />)}</div>}
      </div>
      {accessory && <div className="accessory"><Acting block={block_id} element={accessory} /></div>}
    </div>
  );
}

function Context({ block }: { block: Block }) {
  return (
    <div className="context">
      {(block.elements as unknown as (Text & Element)[]).map((part, at) =>
        part.type === ("image" as string) ? (
          isOwn(part.image_url ?? "") ? <img key={at} src={part.image_url} alt={part.alt_text ?? ""} /> : <span key={at} className="faint">[{part.alt_text}]</span>
        ) : (
          <TextPieces key={at} text={part} />
        ),
      )}
    </div>
  );
}

function Actions({ block }: { block: Block }) {
  return <div className="actions">{(block.elements ?? []).map((element, at) => <Acting key={element.action_id ?? at} block={block.block_id ?? ""} element={element} />)}</div>;
}

function Input({ block }: { block: Block }) {
  const { errors, act } = useSurface();
  const base = useId();
  const { element, block_id = "" } = block;
  const Drawer = element && inputs[element.type];
  if (!element || !Drawer) return <Notice>The sandbox does not show the input <code>{element?.type ?? "?"}</code>.</Notice>;
  const wrong = errors[block_id];
  const isGroup = ["checkboxes", "radio_buttons"].includes(element.type);
  const described = [wrong && `${base}-wrong`, block.hint && `${base}-hint`].filter(Boolean).join(" ");
  const naming: Naming = {
    id: `${base}-control`, labelledBy: `${base}-label`, describedBy: described || undefined, required: !block.optional, invalid: Boolean(wrong),
  };
  const onPick = (value: Record<string, unknown>) => act(block_id, element, value);
  const label = block.label && <TextPieces text={block.label} />;
  return (
    <div className="input" data-block={block_id}>
      <div className="input-label">
        {isGroup ? <span id={naming.labelledBy}>{label}</span> : <label id={naming.labelledBy} htmlFor={naming.id}>{label}</label>}
        {block.optional && <span className="faint"> (optional)</span>}
      </div>
      <Drawer block={block_id} element={element} naming={naming} onPick={block.dispatch_action ? onPick : undefined} />
      {wrong && <p className="wrong" id={`${base}-wrong`}><Warn size={14} /> {wrong}</p>}
      {block.hint && <p className="faint" id={`${base}-hint`}><TextPieces text={block.hint} /></p>}
    </div>
  );
}

function Card({ block }: { block: Block }) {
  const picture = (image: unknown) => (image && isOwn((image as Element).image_url ?? "") ? image : undefined);
  const rest = { ...block, block_id: undefined, actions: undefined, hero_image: picture(block.hero_image), icon: picture(block.icon) };
  const actions = block.actions as Element[] | undefined;
  return (
    <div className="card">
      <Drawn blocks={[rest]} />
      {actions && <Actions block={{ type: "actions", block_id: block.block_id, elements: actions }} />}
    </div>
  );
}

function ContainerBlock({ block }: { block: Block }) {
  const title = (block.title as Text | undefined) ?? { type: "plain_text", text: "" };
  const subtitle = block.subtitle as Text | undefined;
  const head = <><strong><TextPieces text={title} /></strong>{subtitle && <span className="faint"> <TextPieces text={subtitle} /></span>}</>;
  const inside = <Blocks blocks={(block.child_blocks as Block[] | undefined) ?? []} />;
  if (!block.is_collapsible) return <div className="container"><div>{head}</div>{inside}</div>;
  return <details className="container" open={!block.default_collapsed}><summary>{head}</summary>{inside}</details>;
}

function DataTable({ block }: { block: Block }) {
  const [head = [], ...rows] = (block.rows as (Cell | null)[][] | undefined) ?? [];
  const caption = (block.caption as Text | string | undefined) ?? "";
  const cell = (value: Cell | null) => (value?.type === "rich_text" ? <Drawn blocks={[value]} /> : String(value?.text ?? value?.value ?? ""));
  const first = Number(block.row_header_column_index ?? -1);
  return (
    <div className="table-scroll" tabIndex={0} role="group" aria-label={typeof caption === "string" ? caption : caption.text}>
      <table className="data-table">
        <caption>{typeof caption === "string" ? caption : caption.text}</caption>
        <thead><tr>{head.map((value, at) => <th key={at} scope="col">{cell(value)}</th>)}</tr></thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>{row.map((value, column) => (column === first ? <th key={column} scope="row">{cell(value)}</th> : <td key={column}>{cell(value)}</td>))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const own: Record<string, (props: { block: Block }) => ReactNode> = {
  section: Section,
  header: ({ block }) => <h2 className="block-header">{block.text && <TextPieces text={block.text} />}</h2>,
  context: Context,
  actions: Actions,
  context_actions: Actions,
  input: Input,
  image: ({ block }) => <figure className="picture">{block.title ? <figcaption><TextPieces text={block.title as Text} /></figcaption> : null}<Picture element={block as Element} /></figure>,
  card: Card,
  carousel: ({ block }) => <div className="carousel" tabIndex={0} role="group" aria-label="Cards">{((block.elements as Block[] | undefined) ?? []).map((card, at) => <Card key={at} block={card} />)}</div>,
  container: ContainerBlock,
  data_table: DataTable,
};

function Own({ block }: { block: Block }) {
  const Drawer = own[block.type];
  return Drawer ? <Drawer block={block} /> : <Notice>The sandbox does not show the block <code>{block.type}</code>.</Notice>;
}

type Run = { key: string; what: string; drawn?: unknown[]; block?: Block };

function runs(blocks: Block[]): Run[] {
  const found: Run[] = [];
  blocks.forEach((block, at) => {
    const drawn = forLibrary(block);
    const last = found.at(-1);
    if (drawn === null) found.push({ key: block.block_id ?? `own-${at}`, what: block.type, block });
    else if (last?.drawn) last.drawn.push(drawn);
    else found.push({ key: `drawn-${at}`, what: block.type, drawn: [drawn] });
  });
  return found;
}

/** Blocks of a message or view: what only shows is drawn by the library, what acts by the page. */
export function Blocks({ blocks }: { blocks: Block[] }) {
  const parts = useMemo(() => runs(blocks), [blocks]);
  return (
    <div className="blocks">
      {parts.map((part) => (
        <Guard key={part.key} what={part.what}>{part.drawn ? <Drawn blocks={part.drawn} /> : <Own block={part.block!} />}</Guard>
      ))}
    </div>
  );
}
