"""Start the sandbox without loading the bot, which runs in a process of its own."""

import argparse
import sys

from bot.kit.errors import EnrollbotError
from bot.sandbox import run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="enrollbot sandbox", description="Try enrollbot without any account."
    )
    run.add_options(parser)
    try:
        run.start(parser.parse_args())
    except EnrollbotError as problem:
        sys.stderr.write(f"enrollbot: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
