from pathlib import Path

import pytest

from bot.backend.texts import APPLE_TEXTS, StepsFileWrong, load_texts


def written(folder: Path, text: str) -> Path:
    path = folder / "steps.toml"
    path.write_text(text)
    return path


def test_adding_begins_with_a_new_server_and_ends_with_the_upload() -> None:
    steps = load_texts(None).add_steps
    assert "*new* server" in steps[0]
    assert "or open the one just made for it; never the server of the MDM in use" in steps[0]
    assert "ends that one's token" in steps[0]
    assert ".pem" in steps[2]
    assert "*Upload server token*" in steps[-1]


def test_renewing_warns_that_generating_ends_the_current_token() -> None:
    assert "ends the current one of *{server}* at once" in APPLE_TEXTS.renew_warning
    assert not any("{apple_id}" in step for step in APPLE_TEXTS.renew_steps)  # named above the steps
    assert "do not make a new one" in APPLE_TEXTS.renew_steps[1]
    assert "new certificate" in APPLE_TEXTS.renew_new_key_steps[2]


def test_the_agreement_is_the_label_that_people_script_against(tmp_path: Path) -> None:
    wording = "I agree that user and device information is sent to Apple"
    assert APPLE_TEXTS.agreement == wording
    assert load_texts(written(tmp_path, 'renew_steps = ["Wait."]')).agreement == wording


def test_our_own_texts_pass_the_check_of_the_file(tmp_path: Path) -> None:
    keys = ("add_steps", "renew_steps", "renew_new_key_steps", "assign_devices_steps")
    lines = [f"{key} = {list(getattr(APPLE_TEXTS, key))!r}" for key in keys]
    assert load_texts(written(tmp_path, "\n".join(lines).replace('"that one\'s"', ""))) == APPLE_TEXTS


def test_a_file_replaces_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    texts = load_texts(written(tmp_path, 'add_steps = ["Make *{name}* as {apple_id}", "Then {{wait}}"]'))
    assert texts.add_steps == ("Make *{name}* as {apple_id}", "Then {{wait}}")
    assert texts.renew_steps == APPLE_TEXTS.renew_steps
    assert (texts.service, texts.portal) == ("Apple", "ABM")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("add_steps = [", "not TOML"),
        ("add_step = []", "unknown field `add_step`"),
        ('add_steps = "one"', "Expected `array`"),
        ("add_steps = [1]", r"Expected `str`.*add_steps"),
        ("add_steps = []", "add_steps is empty"),
        ('add_steps = ["a", " "]', "has an empty step"),
        ('renew_warning = ""', "renew_warning is empty"),
        ('add_steps = ["{server}", "{secret}"]', r"a place other than \{apple_id\}, \{name\}"),
        ('add_steps = ["{name"]', "brace"),
        ('add_steps = ["{}"]', "a place other than"),
        (f'add_steps = ["{"x" * 2501}"]', "longer than"),
        (f"add_steps = {['x'] * 16}", "longer than"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(StepsFileWrong, match=why) as failure:
        load_texts(written(tmp_path, text))
    assert "ENROLLBOT_ABM_STEPS" in str(failure.value)


def test_a_missing_or_unreadable_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepsFileWrong, match="does not exist"):
        load_texts(tmp_path / "nothing.toml")
    with pytest.raises(StepsFileWrong, match="cannot be read"):
        load_texts(tmp_path)
    (tmp_path / "steps.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StepsFileWrong, match="not TOML"):
        load_texts(tmp_path / "steps.toml")
