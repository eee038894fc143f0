import { useEffect, useId, useState, type FormEvent, type ReactNode } from "react";
import { Refused } from "../api";
import { calls, type Server, type State } from "./calls";

type Act = (doing: () => Promise<State>, done?: (state: State) => string) => Promise<void>;

const day = 86_400;
const plural = (count: number, word: string): string => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** One thing that is on or off: what it does, and what one will see. */
function Row({ name, text, on, onChange }: { name: string; text: string; on: boolean; onChange: (on: boolean) => void }) {
  const id = useId();
  return (
    <div className={`switch-row ${on ? "is-on" : ""}`}>
      <div>
        <span className="switch-name" id={`${id}n`}>{name}</span>
        <span className="switch-text" id={`${id}t`}>{text}</span>
      </div>
      <button type="button" role="switch" className="switch" aria-checked={on} aria-labelledby={`${id}n`} aria-describedby={`${id}t`} onClick={() => onChange(!on)}>
        <span className="switch-thumb" />
      </button>
    </div>
  );
}

function Part({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  const id = useId();
  return (
    <section className="part" aria-labelledby={id}>
      <div className="part-head"><h3 id={id}>{title}</h3>{aside}</div>
      {children}
    </section>
  );
}

function ServerChoice({ servers, value, onChange, label }: { servers: Server[]; value: string; onChange: (name: string) => void; label: string }) {
  return (
    <select className="choice-of" aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      {servers.map((server) => <option key={server.name} value={server.name}>{server.name} · {plural(server.devices, "device")}</option>)}
    </select>
  );
}

const elsewhere = "";

function Devices({ state, act }: { state: State; act: Act }) {
  const [chosen, setServer] = useState(state.servers[0]?.name ?? "");
  const [chosenTarget, setTarget] = useState<string | null>(null);
  const others = state.servers.filter((server) => server.name !== chosen);
  const target = chosenTarget !== null && (chosenTarget === elsewhere || others.some((other) => other.name === chosenTarget)) ? chosenTarget : (others[0]?.name ?? elsewhere);
  if (!state.servers.length) return <p className="switch-text">No server yet: add one in Apple Business Manager.</p>;
  const where = target === elsewhere ? "no server" : target;
  const { moved } = state;
  return (
    <>
      <div className="act">
        <div className="act-row">
          <ServerChoice servers={state.servers} value={chosen} onChange={setServer} label="Server" />
          <button type="button" className="button" onClick={() => void act(() => calls.add(chosen, 40), () => `40 devices were added to ${chosen}.`)}>Add 40 devices</button>
        </div>
        <p className="switch-text">As if they had just been bought. The next sync of {chosen} reports 40 added.</p>
      </div>
      <div className="act">
        <div className="act-row">
          <select className="choice-of" aria-label="Where to" value={target} onChange={(event) => setTarget(event.target.value)}>
            {others.map((server) => <option key={server.name} value={server.name}>to {server.name}</option>)}
            <option value={elsewhere}>to no server (unassigned)</option>
          </select>
          <button type="button" className="button" onClick={() => void act(() => calls.move(chosen, 25, target || null), () => `25 devices of ${chosen} were moved to ${where}.`)}>Move 25 devices</button>
        </div>
        <p className="switch-text">The 25 oldest of {chosen} leave it in Apple Business Manager. The next sync of {chosen} marks them removed.</p>
        {moved && (
          <p className="undo">
            <span>{plural(moved.count, "device")} moved from {moved.server} to {moved.to ?? "no server"}.</span>
            <button type="button" className="link" onClick={() => void act(calls.bringBack, () => `They are back on ${moved.server}.`)}>Bring them back</button>
          </p>
        )}
      </div>
    </>
  );
}

function Licences({ state, act }: { state: State; act: Act }) {
  return state.locations.filter((location) => location.portals).map((location) => {
    const left = (next: State) => next.locations.find((other) => other.name === location.name)?.portals?.left ?? 0;
    const use = Math.min(10, location.portals!.left);
    return (
      <div className="act" key={location.name}>
        <div className="act-row">
          <span className="switch-name">{location.name}</span>
          <button type="button" className="button" disabled={!use} aria-label={`Use ${use || 10} at ${location.name}`} onClick={() => void act(() => calls.licences("use", location.name, use), (next) => `${left(next)} Company Portal licences are left at ${location.name}.`)}>Use {use || 10}</button>
          <button type="button" className="button" aria-label={`Buy 50 for ${location.name}`} onClick={() => void act(() => calls.licences("buy", location.name, 50), (next) => `${left(next)} Company Portal licences are left at ${location.name}.`)}>Buy 50</button>
        </div>
        <p className="switch-text">{location.portals!.left} of {location.portals!.total} Company Portal licences are left. The bot sees a change when it reads the counts next (<code>/enroll vpp sync</code>, or within six hours).</p>
      </div>
    );
  });
}

const zone: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC" };
const time = new Intl.DateTimeFormat("en-GB", zone);

function Clock({ state, asked, act }: { state: State; asked: number; act: Act }) {
  const [days, setDays] = useState("");
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 5000);
    return () => clearInterval(timer);
  }, []);
  const now = new Date(state.now * 1000 + Date.now() - asked);
  const ahead = Math.round(state.ahead_s / day);
  const move = (count: number) => act(() => calls.moveClock(count), (next) => `${plural(count, "day")} on. It is ${time.format(next.now * 1000)} UTC now.`);
  const given = Number(days);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (days) void move(given).then(() => setDays(""));
  };
  return (
    <>
      <p className="now"><time dateTime={now.toISOString()}>{time.format(now)} UTC</time>{ahead > 0 && <span className="ahead">{plural(ahead, "day")} ahead</span>}</p>
      <div className="days" role="group" aria-label="Move the clock ahead">
        {[1, 7, 11, 30].map((count) => <button key={count} type="button" className="button" aria-label={`+${count} ${count === 1 ? "day" : "days"}`} onClick={() => void move(count)}>+{count}</button>)}
        <span className="faint" aria-hidden="true">days</span>
        <form className="days-form" onSubmit={submit}>
          <input type="number" inputMode="numeric" min={1} max={400} step={1} aria-label="Days ahead" placeholder="other" value={days} onChange={(event) => setDays(event.target.value)} />
          <button type="submit" className="button">Move</button>
        </form>
      </div>
      <p className="switch-text">Days pass for the bot, Slack and Apple alike: tokens come nearer to their expiry, daily syncs happen. It only goes ahead; starting the sandbox with <code>--fresh</code> begins today.</p>
    </>
  );
}

export function Switches({ state, asked, take, say }: { state: State; asked: number; take: (state: State) => void; say: (text: string, isBad?: boolean) => void }) {
  const act: Act = async (doing, done) => {
    try {
      const next = await doing();
      take(next);
      if (done) say(done(next));
    } catch (error) {
      say(error instanceof Refused ? error.message : "That did not work.", true);
    }
  };
  const tokens = state.servers.filter((server) => server.has_token);
  const many = state.organisations.length > 1;
  const content = state.locations.filter((location) => location.has_token);
  const thrown = state.organisations.filter((org) => !org.terms_signed).length + tokens.filter((server) => server.rejected).length
    + content.filter((location) => location.revoked).length + [state.throttle, state.slow, state.refuse_posts, state.refuse_charts, state.moved].filter(Boolean).length;
  return (
    <div className="parts">
      <Part title="Time"><Clock state={state} asked={asked} act={act} /></Part>
      <Part title="Trouble" aside={<button type="button" className="link" disabled={!thrown} onClick={() => void act(calls.putBack, () => "All switches are back.")}>Put everything back</button>}>
        {state.organisations.map((org) => (
          <Row key={org.id} name={many ? `Terms not signed · ${org.name}` : "Terms not signed"} on={!org.terms_signed}
            text={org.terms_signed
              ? `Apple has new terms for ${org.name} and refuses its servers until they are accepted. The next sync says so (/enroll sync, or a day later), and offers “Check again”.`
              : `Apple refuses the servers of ${org.name} until somebody accepts its new terms: here, or in Apple Business Manager. Then press “Check again” at the alert.`}
            onChange={(on) => void act(() => calls.throw("terms", on, org.id))} />
        ))}
        {tokens.map((server) => (
          <Row key={server.name} name={`Token rejected · ${server.name}`} on={server.rejected}
            text="As when its maker leaves or changes the password. The second refusal, five minutes later, counts, and the bot asks to renew."
            onChange={(on) => void act(() => calls.throw("rejected", on, server.name))} />
        ))}
        {content.map((location) => (
          <Row key={location.name} name={`Content token ended · ${location.name}`} on={location.revoked}
            text="As when the password of the account that downloaded it changes. The bot notices when it reads the licence counts next."
            onChange={(on) => void act(() => calls.throw("revoked", on, location.name))} />
        ))}
        <Row name="Throttle some assignments" on={state.throttle} text="A quarter of the devices answer THROTTLED to their first assignment and for an hour after it, as Requests shows."
          onChange={(on) => void act(() => calls.throw("throttle", on))} />
        <Row name="Slow Apple" on={state.slow} text="Each page of devices takes two seconds. A sync shows its progress in the channel."
          onChange={(on) => void act(() => calls.throw("slow", on))} />
        <Row name="Slack refuses posts" on={state.refuse_posts} text="As when the bot was taken out of the channel. Nothing is lost: what it has to say comes when this is off again."
          onChange={(on) => void act(() => calls.throw("refuse_posts", on))} />
        <Row name="Slack without charts" on={state.refuse_charts} text="As in a workspace that does not have them yet. The bot sends bars of text instead, and remembers that for four weeks."
          onChange={(on) => void act(() => calls.throw("refuse_charts", on))} />
      </Part>
      {state.locations.length > 0 && <Part title="Licences"><Licences state={state} act={act} /></Part>}
      <Part title="Devices"><Devices state={state} act={act} /></Part>
    </div>
  );
}
