"""The pages of one-time upload links: plain HTML, no script and nothing from elsewhere. Pure."""

import base64
import hashlib
import html
from datetime import datetime
from math import ceil

from bot.kit.errors import EnrollbotError
from bot.licenses.facts import LinkFacts, StoredContentToken

FIELD = "file"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.4rem; line-height: 1.25; }
form { border: 1px solid #8888; border-radius: .5rem; padding: 1.25rem; margin: 1.5rem 0; }
label { display: block; font-weight: 600; margin-bottom: .5rem; }
input { font: inherit; max-width: 100%; margin-bottom: 1.25rem; display: block; }
button { font: inherit; font-weight: 600; padding: .5rem 1.5rem; border: 0; border-radius: .35rem;
  background: #0b5cad; color: #fff; cursor: pointer; }
:focus-visible { outline: 3px solid #4c9be8; outline-offset: 2px; }
.quiet { opacity: .8; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: Nobody keeps the page, nobody learns its address, nothing is loaded, and no other page frames or sends it.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
}


def form(link: LinkFacts, *, now: datetime) -> str:
    """Ask for the file. Looking at the page uses nothing up."""
    name = html.escape(link.name)
    told = "adds" if link.content_token_id is None else "renews"
    minutes = max(1, ceil((link.expires_at - now).total_seconds() / 60))
    left = "1 minute" if minutes == 1 else f"{minutes} minutes"
    return _page(
        "Upload content token",
        f"<p>This {told} the content token <strong>{name}</strong> in enrollbot. Choose the file as you"
        " downloaded it; its name ends in <code>.vpptoken</code>.</p>"
        '<form method="post" enctype="multipart/form-data">'
        f'<label for="file">Content token (.vpptoken)</label>'
        f'<input type="file" id="file" name="{FIELD}" required>'
        "<button>Upload</button></form>"
        "<p>The file is checked first. It is kept encrypted, and nobody can read it back.</p>"
        f'<p class="quiet">This page works once, for another {left}.</p>',
    )


def stored(result: StoredContentToken) -> str:
    """Say what is stored now."""
    view = result.content_token
    told = "added" if result.former_expiry is None else "renewed"
    items = f"{view.apps:,} apps and {view.books:,} books"
    return _page(
        f"Content token {told}",
        f"<p><strong>{html.escape(view.name)}</strong> is the content token of location"
        f" <strong>{html.escape(view.location_name)}</strong>, with {items}. It expires on"
        f" {view.expires_at:%-d %B %Y}, in {view.days_left:,} days.</p>"
        "<p>Next: delete the file from this computer. You can close this page; the rest is in Slack.</p>",
    )


def refused(error: EnrollbotError, *, again: str | None = None) -> str:
    """Say why nothing was stored; `again` says how to go on with another file."""
    step = f"<p>Next: {html.escape(error.next_step)}</p>" if error.next_step else ""
    more = f"<p>{html.escape(again)}</p>" if again else ""
    return _page("Nothing was stored", f"<p>{html.escape(error.message)}</p>{step}{more}")


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · enrollbot</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
