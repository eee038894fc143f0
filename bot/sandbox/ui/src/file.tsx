import { useEffect, useState } from "react";
import { sizeWords } from "./blocks/text";
import { previewOf, type Preview } from "./csv";
import { Page, Save } from "./icons";
import { isOwn } from "./links";
import type { SlackFile } from "./types";

const isCsv = ({ filetype, mimetype = "" }: SlackFile): boolean => filetype === "csv" || mimetype.startsWith("text/csv");

function usePreview(file: SlackFile): Preview | null {
  const [found, setFound] = useState<Preview | null>(null);
  const url = file.url && isCsv(file) && isOwn(file.url) ? file.url : "";
  useEffect(() => {
    let over = false;
    if (url) void previewOf(url, file.size).then((made) => over || setFound(made));
    return () => {
      over = true;
    };
  }, [url]);
  return found;
}

function Table({ preview: { header, rows, total }, name }: { preview: Preview; name: string }) {
  const words = `${total.toLocaleString("en")} ${total === 1 ? "row" : "rows"}`;
  const rest = total - rows.length;
  return (
    <div className="csv">
      <div className="csv-scroll" tabIndex={0} role="region" aria-label={`Preview of ${name}`}>
        <table>
          <thead><tr>{header.map((cell, at) => <th key={at} scope="col">{cell}</th>)}</tr></thead>
          <tbody>{rows.map((row, at) => <tr key={at}>{header.map((_, column) => <td key={column} title={row[column]}>{row[column] ?? ""}</td>)}</tr>)}</tbody>
        </table>
      </div>
      <p className="faint">{words}{rest > 0 && `, the first ${rows.length} shown`}</p>
    </div>
  );
}

/** A file in a message: a card to download it from, with a preview of a CSV. */
export function FileCard({ file }: { file: SlackFile }) {
  const found = usePreview(file);
  if (file.mode === "tombstone") return <div className="file file-gone"><Page /> <span>This file was deleted.</span></div>;
  const name = file.name || file.title || file.id;
  return (
    <div className={`file ${found ? "with-preview" : ""}`}>
      <span className="file-icon"><Page size={22} /></span>
      <span className="file-name"><strong>{name}</strong><span className="faint">{(file.filetype || "file").toUpperCase()} · {sizeWords(file.size)}</span></span>
      {file.url && <a className="button file-get" href={file.url} download={name} aria-label={`Download ${name}`}><Save size={16} /> Download</a>}
      {found && <Table preview={found} name={name} />}
    </div>
  );
}
