"""The bot of the sandbox: `enrollbot run` as it is, holding the sandbox's clock.

    python -m bot.sandbox.bot FILE

Everything else comes from the environment, as for `enrollbot run`. SIGUSR1 says that the clock was moved:
the scheduler waits by real time, so it is asked to look at its jobs at once.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bot import main
from bot.kit.errors import EnrollbotError
from bot.sandbox.clock import MovedClock
from bot.settings import Settings

MOVED = signal.SIGUSR1


async def run(clock_file: Path) -> None:
    """Run the bot with the clock of `clock_file` until SIGTERM or SIGINT."""
    settings = Settings.load(os.environ)
    main.prepare_logs(settings)

    def listen(bot: main.Bot) -> None:
        asyncio.get_running_loop().add_signal_handler(MOVED, bot.jobs.look_now)

    await main.run(settings, clock=MovedClock(clock_file), when_assembled=listen)


if __name__ == "__main__":
    # Until the bot is assembled there is nobody to tell, and a word about the clock must not end it.
    signal.signal(MOVED, signal.SIG_IGN)
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except EnrollbotError as problem:
        sys.stderr.write(f"enrollbot: {problem}\n")
        sys.exit(1)
