import pytest

from bot.kit.addresses import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "example.com", "localhost.example.com", "10.0.0.1", "::ffff:10.0.0.1"])
def test_other_hosts_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)
