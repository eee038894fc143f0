"""A stand-in for Slack: it keeps a workspace, talks to the bot and refuses what Slack refuses."""

from bot.sandbox.slack.standin import SlackStandIn

__all__ = ["SlackStandIn"]
