"""The command line: run the bot, try it in the sandbox, look after its keys, API tokens and database."""

import argparse
import asyncio
import getpass
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import SecretStr

from bot import __version__, main
from bot.access import rules as access_rules
from bot.access.facts import AddedApiToken, ApiTokenView
from bot.audit.facts import Form
from bot.kit import migrations
from bot.kit.actor import Actor
from bot.kit.clock import SystemClock
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.jobs import JobView, job_views
from bot.kit.secrets import generate_key
from bot.licenses.facts import StoredContentToken
from bot.migrations import FOLDER
from bot.sandbox import run as sandbox
from bot.settings import Settings
from bot.slack.manifest import render

Command = Callable[[argparse.Namespace], None]

_BY_HAND = "command line"

#: A key, certificate or token file is a few KiB; anything much larger is not one.
_FILE_LIMIT = 64 * 1024


class FileUnreadable(EnrollbotError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"Cannot read {path}: {why}.")


class FileUnwritable(EnrollbotError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"Cannot write {path}: {why}.", next_step="Name another file with --output.")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 refused, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        command(options)
    except EnrollbotError as problem:
        print(f"enrollbot: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(_options: argparse.Namespace) -> None:
    settings = _settings()
    asyncio.run(main.run(settings))


def _manifest(options: argparse.Namespace) -> None:
    print(render(options.url, options.name), end="")


def _keys_generate(_options: argparse.Namespace) -> None:
    print(generate_key())


def _db_migrate(options: argparse.Namespace) -> None:
    url = _settings().database_url.get_secret_value()
    done = migrations.upgrade(url, FOLDER, allow_data_loss=options.allow_data_loss)
    print(f"Applied: {', '.join(done)}." if done else "The database is up to date.")


def _db_revision(options: argparse.Namespace) -> None:
    url = _settings().database_url.get_secret_value()
    migrations.write_revision(url, FOLDER, options.message)


def _token_import(options: argparse.Namespace) -> None:
    private_key = SecretStr(_read(options.key).decode("utf-8", errors="replace"))
    certificate, token_file = _read(options.cert), _read(options.token)

    async def go() -> None:
        async with main.services(_settings()) as bot:
            imported = await bot.tokens.import_token(
                options.name,
                private_key_pem=private_key,
                certificate_pem=certificate,
                token_file=token_file,
                mdm_url=options.mdm_url,
                agreed=options.agree,
                actor=Actor.cli(getpass.getuser()),
            )
        token = imported.token
        print(
            f"Token {token.name} imported: {token.org_name}, MDM server {token.server_name}, "
            f"{token.days_left} days left. Its devices are synced when the bot runs."
        )
        for remark in imported.remarks:
            print(remark)

    asyncio.run(go())


def _vpp_add(options: argparse.Namespace) -> None:
    content, tags = _read(options.file), access_rules.parse_tags(options.tags)

    async def go() -> StoredContentToken:
        async with main.services(_settings()) as bot:
            return await bot.licenses.installing.add(
                options.name,
                content,
                actor=Actor.cli(getpass.getuser()),
                way=_BY_HAND,
                tags=sorted(tags or ()),
            )

    _print_stored(asyncio.run(go()), "added", options.file)


def _vpp_renew(options: argparse.Namespace) -> None:
    content = _read(options.file)

    async def go() -> StoredContentToken:
        async with main.services(_settings()) as bot:
            actor = Actor.cli(getpass.getuser())
            view = await bot.licenses.get(options.name, actor=actor)
            return await bot.licenses.installing.renew(view.id, content, actor=actor, way=_BY_HAND)

    _print_stored(asyncio.run(go()), "renewed", options.file)


def _print_stored(stored: StoredContentToken, done: str, file: Path) -> None:
    view = stored.content_token
    print(
        f"Content token {view.name} {done}: location {view.location_name}, {view.apps} apps and {view.books}"
        f" books, {view.days_left} days left. Delete {file} now: it is a live secret."
    )
    if view.manager is not None:
        print(f"{view.manager} manages this location: devices get their licences there. Nothing was changed.")


def _api_token_add(options: argparse.Namespace) -> None:
    tags = access_rules.parse_tags(options.tags)
    settings = _settings()

    async def go() -> AddedApiToken:
        async with main.services(settings) as bot:
            return await bot.api_tokens.add(options.name, tags=tags, actor=Actor.cli(getpass.getuser()))

    added = asyncio.run(go())
    name, at = added.token.name, f"http://{settings.host}:{settings.port}"
    print(
        f"API token {name} added. It reads the devices and profiles {_reach(added.token)}, and changes"
        f" nothing. This is its secret:\n\n  {added.secret.get_secret_value()}\n\n"
        "It is shown this once and cannot be had again: put it into your MDM server's settings now.\n"
        "The MDM server sends it with each request, as header Authorization: Bearer SECRET. Try it here:\n\n"
        f'  curl -H "Authorization: Bearer SECRET" {at}/api/v1/devices/SERIAL\n\n'
        "From elsewhere use the address of the HTTPS proxy in front of the bot."
        f" If the secret is lost or seen by others: enrollbot api-token revoke {name}, and add another."
    )


def _api_token_list(_options: argparse.Namespace) -> None:
    async def go() -> list[ApiTokenView]:
        async with main.services(_settings()) as bot:
            return await bot.api_tokens.list_api_tokens(actor=Actor.cli(getpass.getuser()))

    found = asyncio.run(go())
    if not found:
        print("There is no API token yet. Add one with: enrollbot api-token add NAME")
    for token in found:
        used = f"last used {_utc(token.last_used_at)}" if token.last_used_at else "never used"
        ended = f", revoked {_utc(token.revoked_at)}" if token.revoked_at else ""
        print(f"{token.name}: {_reach(token)}, added {_utc(token.made_at)}, {used}{ended}")


def _api_token_revoke(options: argparse.Namespace) -> None:
    async def go() -> ApiTokenView:
        async with main.services(_settings()) as bot:
            return await bot.api_tokens.revoke(options.name, actor=Actor.cli(getpass.getuser()))

    token = asyncio.run(go())
    used = f"It was last used {_utc(token.last_used_at)}." if token.last_used_at else "It was never used."
    print(
        f"API token {token.name} revoked: from now on its secret is refused. {used} If your MDM server still"
        f" has to read, give it a new one: enrollbot api-token add {token.name}"
    )


def _reach(token: ApiTokenView) -> str:
    return "of every token" if token.tags is None else f"of tokens tagged {', '.join(sorted(token.tags))}"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _jobs(_options: argparse.Namespace) -> None:
    url = _settings().database_url.get_secret_value()

    async def go() -> Sequence[JobView]:
        db = Database.open(url)
        try:
            # No key is needed to see whether the work gets done, and nothing is brought up to date.
            await migrations.checker(db, FOLDER)()
            return await job_views(db)
        finally:
            await db.close()

    found = asyncio.run(go())
    if not found:
        print("No job has been registered yet: the bot has not run on this database.")
        return
    now = SystemClock().now()
    rows = [("JOB", "EVERY", "LAST RUN", "OUTCOME", "NEXT RUN", "WHAT IT DOES")]
    rows += [
        (job.name, _length(job.interval), _last(job), _outcome(job, now), _next(job, now), job.does)
        for job in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _last(job: JobView) -> str:
    return f"{job.started_at:%Y-%m-%d %H:%M:%S}" if job.started_at else "never"


def _outcome(job: JobView, now: datetime) -> str:
    if job.started_at is None:
        return ""
    if job.ended_at is None:
        return f"running for {_length(max(now - job.started_at, timedelta()))}"
    took = (job.ended_at - job.started_at).total_seconds()
    return f"{'failed' if job.failed else 'done'} in {took:,.1f} s"


def _next(job: JobView, now: datetime) -> str:
    return f"{job.next_at:%Y-%m-%d %H:%M:%S}" if job.next_at > now else "now"


def _length(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _audit_verify(options: argparse.Namespace) -> None:
    async def go() -> None:
        async with main.services(_settings()) as bot:
            proof = await bot.audit.verify()
        if options.head:
            print(proof.entries, proof.head)
        else:
            print(f"The audit is whole: {proof.entries} entries, head {proof.head}.")

    asyncio.run(go())


def _audit_export(options: argparse.Namespace) -> None:
    query, form = " ".join(_quoted(word) for word in options.query), Form(options.format)
    target: Path | None = options.output

    async def go() -> None:
        actor = Actor.cli(getpass.getuser())
        async with (
            main.services(_settings()) as bot,
            bot.audit.exported(query, actor=actor, forms=[form]) as made,
        ):
            await asyncio.to_thread(_hand_out, made.files[form], target)
            count = "1 entry" if made.entries == 1 else f"{made.entries:,} entries"
            print(f"{count} of the audit written.", file=sys.stderr)

    asyncio.run(go())


def _quoted(word: str) -> str:
    """Put back the quotes that the shell took away: `subject:"Sales iPad"` arrives without them.

    A word that holds several keys is a whole query in the shell's quotes, and has its own.
    """
    key, colon, value = word.partition(":")
    is_one_value = colon and " " in value and ":" not in value and not set(value) & set("\"'")
    return f'{key}:"{value}"' if is_one_value else word


def _hand_out(made: Path, target: Path | None) -> None:
    with made.open("rb") as source:
        if target is None:
            _print_all(source)
            return
        try:
            # What was done by whom is for its reader alone; a file that is there keeps its permissions.
            with open(target, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                shutil.copyfileobj(source, file)
        except OSError as error:
            raise FileUnwritable(target, error.strerror or "it cannot be opened") from None


def _print_all(source: BinaryIO) -> None:
    try:
        shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever reads has had enough, such as `head`; Python would complain of it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings() -> Settings:
    settings = Settings.load(os.environ)
    main.prepare_logs(settings)
    return settings


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise FileUnreadable(path, error.strerror or "it cannot be opened") from None
    if len(content) > _FILE_LIMIT:
        raise FileUnreadable(path, "it is larger than 64 KiB, so it is no key, certificate or token")
    return content


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="enrollbot", description="Run automated device enrollment for Apple devices from Slack."
    )
    parser.add_argument("--version", action="version", version=f"enrollbot {__version__}")
    nouns = parser.add_subparsers(required=True, metavar="COMMAND")

    _verb(nouns, "run", _run, "run the bot with the settings of the environment")

    box = _verb(nouns, "sandbox", sandbox.start, "try the bot between stand-ins for Slack and Apple")
    sandbox.add_options(box)

    manifest = _verb(nouns, "manifest", _manifest, "print the Slack app manifest")
    manifest.add_argument("--url", help="public https address of the bot; Socket Mode without it")
    manifest.add_argument("--name", default="/enroll", metavar="COMMAND", help="the slash command (/enroll)")

    keys = _noun(nouns, "keys", "encryption keys")
    _verb(keys, "generate", _keys_generate, "print a new encryption key")

    db = _noun(nouns, "db", "the database")
    migrate = _verb(db, "migrate", _db_migrate, "bring the tables up to date")
    migrate.add_argument("--allow-data-loss", action="store_true", help="even where data is deleted")
    revision = _verb(db, "revision", _db_revision, "write a migration from the models (for developers)")
    revision.add_argument("message")

    token = _noun(nouns, "token", "enrollment tokens")
    importer = _verb(token, "import", _token_import, "bring a key pair and token from another server")
    importer.add_argument("name", metavar="NAME")
    importer.add_argument("--key", type=Path, required=True, metavar="key.pem", help="the RSA private key")
    importer.add_argument("--cert", type=Path, required=True, metavar="cert.pem", help="its certificate")
    importer.add_argument("--token", type=Path, required=True, metavar="file.p7m", help="the server token")
    importer.add_argument("--mdm-url", metavar="URL", help="the MDM server's enrollment address")
    importer.add_argument(
        "--agree", action="store_true", help="you agree that user and device information is sent to Apple"
    )

    vpp = _noun(nouns, "vpp", "content tokens of Apps and Books")
    for verb, command, summary in (
        ("add", _vpp_add, "store the content token of a location"),
        ("renew", _vpp_renew, "replace a content token by a later one of its location"),
    ):
        stored = _verb(vpp, verb, command, summary)
        stored.add_argument("name", metavar="NAME")
        stored.add_argument(
            "--file", type=Path, required=True, metavar="token.vpptoken", help="the file as downloaded"
        )
        if verb == "add":
            stored.add_argument("--tags", metavar="a,b", help="scope tags of the content token")

    api = _noun(nouns, "api-token", "what programs read the API with, such as your MDM server")
    adder = _verb(api, "add", _api_token_add, "make an API token and show its secret, once")
    adder.add_argument("name", metavar="NAME")
    adder.add_argument("--tags", metavar="a,b", help="only tokens with one of these scope tags")
    _verb(api, "list", _api_token_list, "the API tokens, and when each was last used")
    revoker = _verb(api, "revoke", _api_token_revoke, "end an API token at once")
    revoker.add_argument("name", metavar="NAME")

    _verb(nouns, "jobs", _jobs, "what the bot does by itself: when each job ran, how it ended, what is next")

    audit = _noun(nouns, "audit", "the audit")
    verify = _verb(audit, "verify", _audit_verify, "prove that no entry was changed or removed")
    verify.add_argument(
        "--head", action="store_true", help="print only the last entry's number and hash, to compare them"
    )
    export = _verb(audit, "export", _audit_export, "write the entries that fit a query, oldest first")
    export.add_argument(
        "query",
        nargs="*",
        metavar="QUERY",
        help="such as action:token since:30d; write -- before the first word if it begins with -",
    )
    export.add_argument("--format", choices=[form.value for form in Form], default=Form.JSONL.value)
    export.add_argument("--output", type=Path, metavar="FILE", help="instead of the standard output")
    return parser


def _noun(
    parsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    noun = parsers.add_parser(name, help=summary, description=summary)
    return noun.add_subparsers(required=True, metavar="COMMAND")


def _verb(
    parsers: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, command: Command, summary: str
) -> argparse.ArgumentParser:
    verb = parsers.add_parser(name, help=summary, description=summary)
    verb.set_defaults(command=command)
    return verb
