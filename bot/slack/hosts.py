"""Where credentials, answers and files may go: Slack's own hosts, or the stand-in set instead of them."""

from dataclasses import dataclass

import httpx

from bot.kit.addresses import is_loopback

API_URL = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackHosts:
    """The base of the Web API, as set by ENROLLBOT_SLACK_API_URL or Slack's own."""

    api_url: str = API_URL

    @classmethod
    def of(cls, api_url: str | None) -> "SlackHosts":
        return cls(f"{api_url.rstrip('/')}/" if api_url else API_URL)

    @property
    def is_loopback(self) -> bool:
        return is_loopback(httpx.URL(self.api_url).host)

    def file_url(self, url: str) -> httpx.URL | None:
        """Return the address if a file may be fetched from it (or sent to it), None if not."""
        parsed = self._safe(url)
        if parsed is None:
            return None
        is_slacks = parsed.host == "files.slack.com" or parsed.host.endswith(".slack-files.com")
        return parsed if self._is_base(parsed) or (is_slacks and parsed.port is None) else None

    def answer_url(self, url: str) -> httpx.URL | None:
        """Return the address if it can be a response_url, None if not."""
        parsed = self._safe(url)
        if parsed is None:
            return None
        return parsed if self._is_base(parsed) or parsed.host == "hooks.slack.com" else None

    def _safe(self, url: str) -> httpx.URL | None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError):
            return None
        is_plain_stand_in = parsed.scheme == "http" and self.is_loopback and self._is_base(parsed)
        if parsed.userinfo or not (parsed.scheme == "https" or is_plain_stand_in):
            return None
        return parsed

    def _is_base(self, url: httpx.URL) -> bool:
        base = httpx.URL(self.api_url)
        is_set = self.api_url != API_URL
        return is_set and (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)
