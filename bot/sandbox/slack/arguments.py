"""The arguments of a Web API call, whether they came in the address, a form or JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from bot.sandbox.slack.refusals import SlackRefuses

Json = dict[str, Any]


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call; a missing or ill-typed one is refused as Slack does."""

    given: Mapping[str, Any]
    base_url: str

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; without a default its absence is refused."""
        value = self.given.get(name)
        if value is None or value == "":
            if default is None:
                raise _invalid(f"missing required field: {name}", name)
            return default
        return str(value)

    def json(self, name: str) -> Any:
        """Return a structure that may have come as JSON text, or None."""
        value = self.given.get(name)
        if value == "" or not isinstance(value, str):
            return None if value == "" else value
        try:
            return json.loads(value)
        except ValueError:
            raise _invalid(f"must be valid JSON: {name}", name) from None

    def flag(self, name: str) -> bool:
        return str(self.given.get(name, "")).lower() in ("1", "true")

    def number(self, name: str, default: int) -> int:
        value = self.given.get(name)
        try:
            return default if value in (None, "") else int(str(value))
        except ValueError:
            raise _invalid(f"must be an integer: {name}", name) from None

    def words(self, name: str) -> list[str]:
        """Return a list given as JSON or separated by commas."""
        value = self.given.get(name) or []
        if isinstance(value, str):
            value = value.strip("[]").replace('"', "").split(",")
        return [str(word).strip() for word in value if str(word).strip()]


def _invalid(words: str, name: str) -> SlackRefuses:
    return SlackRefuses("invalid_arguments", details=[f"[ERROR] {words} [json-pointer:/{name}]"])


async def read_arguments(request: Request, *, base_url: str) -> Arguments:
    """Collect the arguments of a request; raises `invalid_json` and `invalid_form_data`."""
    given: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json":
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            raise SlackRefuses("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackRefuses("json_not_object")
        given.update(body)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.form()
        given.update({key: value for key, value in form.items() if isinstance(value, str)})
    return Arguments(given, base_url)
