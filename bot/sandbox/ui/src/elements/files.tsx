import { useRef, useState, type DragEvent } from "react";
import { Refused } from "../api";
import { sizeWords } from "../blocks/text";
import { useDoing, useField, useSurface } from "../context";
import { Close, Page } from "../icons";
import type { SlackFile } from "../types";
import type { ElementProps } from "./inputs";
import { attributes } from "./naming";

/** A file input: files go to the stand-in as soon as they are chosen, their ids into the view's state. */
export function FileInput({ block, element, naming }: ElementProps) {
  const { api } = useDoing();
  const { uploading } = useSurface();
  const [files, set] = useField<SlackFile[]>(block, element);
  const [waiting, setWaiting] = useState<string[]>([]);
  const [trouble, setTrouble] = useState("");
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const now = useRef(files);
  now.current = files;
  const most = element.max_files ?? 10;

  const send = async (file: File) => {
    setWaiting((names) => [...names, file.name]);
    uploading(1);
    try {
      const answer = await api.upload(file);
      const next = most === 1 ? [answer.file] : [...now.current, answer.file];
      now.current = next;
      set(next);
    } catch (error) {
      setTrouble(error instanceof Refused ? `${file.name}: ${error.message}` : `${file.name} could not be uploaded.`);
    } finally {
      uploading(-1);
      setWaiting((names) => names.filter((name) => name !== file.name));
    }
  };
  const take = (chosen: FileList | null) => {
    setTrouble("");
    const room = most === 1 ? 1 : most - now.current.length;
    const list = [...(chosen ?? [])];
    if (list.length > room) setTrouble(`At most ${most} files.`);
    list.slice(0, room).forEach((file) => void send(file));
    if (input.current) input.current.value = "";
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  const remove = (file: SlackFile) => {
    set(files.filter((other) => other.id !== file.id));
    input.current?.focus();
  };
  return (
    <div className={`drop ${over ? "over" : ""} ${naming.invalid ? "invalid" : ""}`} onDrop={drop} onDragLeave={() => setOver(false)}
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}>
      <div className="drop-row">
        <input {...attributes(naming)} ref={input} type="file" multiple={most > 1} accept={element.filetypes?.map((type) => `.${type}`).join(",")}
          onChange={(event) => take(event.target.files)} />
        <span className="faint" aria-hidden="true">or drop {most > 1 ? "files" : "it"} here</span>
      </div>
      {trouble && <p className="wrong" role="alert">{trouble}</p>}
      <ul className="drop-files" aria-live="polite">
        {files.map((file) => (
          <li key={file.id}>
            <Page /> <span>{file.name}</span> <span className="faint">{sizeWords(file.size)}</span>
            <button type="button" className="icon" aria-label={`Remove ${file.name}`} onClick={() => remove(file)}><Close size={14} /></button>
          </li>
        ))}
        {waiting.map((name) => <li key={name} className="faint">Uploading {name}…</li>)}
      </ul>
    </div>
  );
}
