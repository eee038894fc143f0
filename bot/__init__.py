"""Run automated device enrollment for Apple devices from Slack."""

__version__ = "2026.11.0"
