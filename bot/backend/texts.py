"""What to do in Apple Business Manager, in words that an administrator can replace.

Apple renames its screens now and then: `ENROLLBOT_ABM_STEPS` names a TOML file whose keys take the
place of the texts here.
"""

import dataclasses
import string
import tomllib
from pathlib import Path

import msgspec

from bot.backend.port import BackendTexts
from bot.kit.errors import EnrollbotError

PLACES = frozenset({"name", "server", "org", "apple_id"})
_MAX_STEPS = 15
_MAX_CHARACTERS = 2500  # of one list: a message's section holds 3,000, names are filled in

_SIGN_IN = (
    "Sign in to ABM; another account that may manage device management services works too. When the person"
    " whose account made the token leaves or changes the password, the token ends."
)
_OPEN_SERVER = (
    "Open the MDM server *{server}* of {org}; do not make a new one. With several organisations, check"
    " the name shown in ABM."
)
_DOWNLOAD = (
    "Download its token and confirm that the former one ends. The devices stay assigned to the server."
)
_UPLOAD = "Press *Upload server token* here and choose the new file, within minutes if you can."

APPLE_TEXTS = BackendTexts(
    service="Apple",
    portal="ABM",
    agreement="I agree that user and device information is sent to Apple",
    add_steps=(
        "Make a *new* server for it in ABM (your name, *Preferences*, the MDM servers, which newer screens"
        " call device management services, *Add*), or open the one just made for it; never the server of the"
        " MDM in use: generating a token there ends that one's token.",
        "Name it *{name}*. In ABM the name is only a label, not an address; it must be unique there and"
        " cannot be _Unassigned_ or _Reassigned_.",
        "Upload the certificate `{name}.pem` to the new server and save. Leave releasing devices off.",
        "Signed in as {apple_id}, download the server's token, a file ending in `.p7m`. When the person"
        " whose account made the token leaves or changes the password, the token ends.",
        "Press *Upload server token* here and choose that file.",
    ),
    renew_steps=(_SIGN_IN, _OPEN_SERVER, _DOWNLOAD, _UPLOAD),
    renew_new_key_steps=(
        _SIGN_IN,
        _OPEN_SERVER,
        "Edit the server, upload the new certificate `{name}.pem` in place of the former one, and save.",
        _DOWNLOAD,
        _UPLOAD,
    ),
    assign_devices_steps=(
        "In ABM, find the devices by serial number, order number or a CSV of serial numbers. Order numbers"
        " are visible there only.",
        "Assign them to the MDM server *{server}*. Who moved a device is in its history in ABM.",
        "Make *{server}* the default server for iPhone and iPad, and for Mac if wanted, so that new orders"
        " arrive by themselves.",
        "Sync here afterwards.",
    ),
    renew_warning=(
        "Generating a new token in ABM ends the current one of *{server}* at once. Enrolled devices keep"
        " working; until the new file is uploaded here, new devices are not seen and get no profile."
        " An older backup of this bot will hold the ended token."
    ),
    configurator="Apple Configurator",
    content_token_step=(
        "In ABM, open *Settings*, *Payments & Billing*, *Apps and Books*, and download the content token of"
        " the location."
    ),
    terms_step=(
        "An Administrator of *{org}* signs in to ABM and accepts the new terms; no other role can."
        " With several organisations, check the name shown in ABM. Apple can take a while to notice."
    ),
)


class StepsFileWrong(EnrollbotError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"The file {path} that ENROLLBOT_ABM_STEPS names cannot be used: {why}.",
            next_step="Mend the file, or remove the setting to use the texts that come with the bot.",
        )


class _Steps(msgspec.Struct, forbid_unknown_fields=True):
    add_steps: tuple[str, ...] = APPLE_TEXTS.add_steps
    renew_steps: tuple[str, ...] = APPLE_TEXTS.renew_steps
    renew_new_key_steps: tuple[str, ...] = APPLE_TEXTS.renew_new_key_steps
    assign_devices_steps: tuple[str, ...] = APPLE_TEXTS.assign_devices_steps
    renew_warning: str = APPLE_TEXTS.renew_warning
    terms_step: str = APPLE_TEXTS.terms_step
    content_token_step: str = APPLE_TEXTS.content_token_step


def load_texts(path: Path | None) -> BackendTexts:
    """Return the texts, those of the file at `path` in place of ours. Raises `StepsFileWrong`."""
    if path is None:
        return APPLE_TEXTS
    try:
        steps = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _Steps)
    except FileNotFoundError:
        raise StepsFileWrong(path, "it does not exist") from None
    except OSError as failure:
        raise StepsFileWrong(path, f"it cannot be read ({failure.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise StepsFileWrong(path, f"it is not TOML ({failure})") from None
    except msgspec.ValidationError as failure:
        raise StepsFileWrong(path, str(failure)) from None
    values = msgspec.structs.asdict(steps)
    for key, value in values.items():
        _check(path, key, (value,) if isinstance(value, str) else value)
    return dataclasses.replace(APPLE_TEXTS, **values)


def _check(path: Path, key: str, steps: tuple[str, ...]) -> None:
    if not steps or not all(step.strip() for step in steps):
        raise StepsFileWrong(path, f"{key} is empty or has an empty step")
    if len(steps) > _MAX_STEPS or sum(map(len, steps)) > _MAX_CHARACTERS:
        raise StepsFileWrong(path, f"{key} is longer than {_MAX_STEPS} steps or {_MAX_CHARACTERS} characters")
    for step in steps:
        try:
            places = {place for _, place, _, _ in string.Formatter().parse(step) if place is not None}
        except ValueError:
            raise StepsFileWrong(path, f"{key} has a brace without its other half") from None
        if places - PLACES:
            known = ", ".join(f"{{{place}}}" for place in sorted(PLACES))
            raise StepsFileWrong(path, f"{key} has a place other than {known}")
