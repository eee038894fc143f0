from bot.kit.errors import EnrollbotError


def test_an_error_reads_as_what_happened_and_what_to_do() -> None:
    error = EnrollbotError("The token has ended.", next_step="Renew it with `token renew paris`.")
    assert str(error) == "The token has ended. Renew it with `token renew paris`."
    assert (error.message, error.next_step) == ("The token has ended.", "Renew it with `token renew paris`.")


def test_an_error_without_a_next_step_is_its_message() -> None:
    assert str(EnrollbotError("The token has ended.")) == "The token has ended."
