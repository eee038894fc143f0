"""Run the command line as `python -m bot`, where the package is not installed."""

import sys

from bot.cli import run

sys.exit(run())
