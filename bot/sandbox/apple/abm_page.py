"""What all pages of Apple Business Manager's stand-in are made of. Plain HTML, no scripts."""

from datetime import datetime
from html import escape
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bot.sandbox.apple.state import iso

_UPLOAD_LIMIT = 65_536
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #55555c; --paper: #fff; --ground: #f3f3f5;
  --line: #c9c9cf; --blue: #0059b8; --on-blue: #fff; --warn: #fff3d6; --bad: #fde6e4; --good: #e3f4e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f2f5; --soft: #b6b6bf; --paper: #1f1f23;
  --ground: #131316; --line: #4a4a52; --blue: #7db8ff; --on-blue: #0b1a2c; --warn: #41350f; --bad: #4a1f1c;
  --good: #17361d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
header { padding-bottom: 0; }
header p { margin: 0; color: var(--soft); }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 0 0 .5rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem;
  margin: 0 0 1.25rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); }
th, td { text-align: left; padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--line);
  vertical-align: top; }
table { margin-top: 1.25rem; }
td.number, th.number { text-align: right; padding-right: 2rem;
  font-variant-numeric: tabular-nums; }
a { color: var(--blue); } code { font-size: .95em; }
label { display: block; font-weight: 600; margin: .75rem 0 .25rem; }
input, textarea, select { font: inherit; color: inherit; background: var(--ground);
  border: 1px solid var(--soft); border-radius: .4rem; padding: .4rem .6rem; max-width: 100%; width: 26rem; }
button { font: inherit; font-weight: 600; margin-top: .75rem; padding: .45rem 1rem; border-radius: .5rem;
  border: 1px solid var(--blue); background: var(--blue); color: var(--on-blue); cursor: pointer; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
.hint { color: var(--soft); margin: .25rem 0; }
.note { border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1.25rem; }
.note p { margin: 0; }
.warn { background: var(--warn); } .bad { background: var(--bad); } .good { background: var(--good); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


async def read_form(request: Request) -> dict[str, str | bytes]:
    """Read the form, unless another site's page sent it."""
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "This form was sent from another site.")
    async with request.form(max_files=1) as form:
        return {
            name: await value.read(_UPLOAD_LIMIT) if isinstance(value, UploadFile) else value.strip()
            for name, value in form.items()
        }


def text_of(form: dict[str, str | bytes], name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def page(title: str, body: str, *, status: int = 200) -> Response:
    html = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)} – Apple Business Manager stand-in</title><style>{_STYLE}</style></head>
<body><header><p><strong>Apple Business Manager</strong>, a stand-in on this computer. Nothing here reaches
Apple.</p></header><main>{body}</main></body></html>"""
    return HTMLResponse(html, status_code=status, headers=HEADERS)


def notice_note(text: str | None) -> str:
    return f'<p class="note good" role="status">{text}</p>' if text else ""


def refusal_note(text: str) -> str:
    return f'<p class="note bad" role="alert" id="refusal">{escape(text)}</p>' if text else ""


def time_of(moment: datetime) -> str:
    shown = f"{moment:%d %B %Y, %H:%M} UTC".lstrip("0")
    return f'<time datetime="{iso(moment)}">{shown}</time>'


def described(hint: str, *, is_refused: bool) -> str:
    extra = ' aria-invalid="true"' if is_refused else ""
    return f'aria-describedby="{hint}{" refusal" if is_refused else ""}"{extra}'
