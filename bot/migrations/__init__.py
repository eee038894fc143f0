"""Alembic's revisions. Run by `bot.kit.migrations`, written by `make revision m="..."`."""

from pathlib import Path

FOLDER = Path(__file__).parent
