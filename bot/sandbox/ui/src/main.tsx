import "slack-blocks-to-jsx/dist/style.css";
import "./style.css";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { people as askPeople } from "./api";
import { App } from "./app";
import { keep, kept } from "./kept";
import type { User } from "./types";

const again = 2000;

/** Who one is holds for this tab, so that two tabs can be two people. */
function remembered(people: User[]): string {
  const wanted = new URLSearchParams(window.location.search).get("person") ?? kept<string>("person", "tab");
  return (people.find((person) => person.id === wanted) ?? people[0])?.id ?? "";
}

function Start() {
  const [people, setPeople] = useState<User[]>([]);
  const [person, setPerson] = useState("");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    askPeople().then(
      (found) => { setPeople(found); setPerson(remembered(found)); },
      () => { timer = setTimeout(() => setTries((count) => count + 1), again); },
    );
    return () => clearTimeout(timer);
  }, [tries]);
  const become = (id: string) => {
    keep("person", id, "tab");
    window.history.replaceState(null, "", window.location.pathname);
    setPerson(id);
  };
  if (!person) return <div className="failed" role="status"><p>{tries ? "The sandbox does not answer yet. This page tries again by itself." : "Opening…"}</p></div>;
  return <App key={person} person={person} people={people} onPerson={become} />;
}

createRoot(document.getElementById("app")!).render(<StrictMode><Start /></StrictMode>);
