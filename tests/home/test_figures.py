"""What the whole bot tells over HTTP is in tests/flows/test_metrics.py."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from bot.home import figures
from tests.builders import app_licences, content_token_view


def samples(metrics: Iterable[Metric], name: str) -> dict[str, float]:
    """Return the values of a figure by its last label."""
    [metric] = [each for each in metrics if each.name == f"enrollbot_{name}"]
    return {list(sample.labels.values())[-1]: sample.value for sample in metric.samples}


def test_licences_are_told_of_each_app_that_the_location_has_and_that_has_a_limit() -> None:
    apps = [
        app_licences("1", 17, 500),
        app_licences("2", None, None),
        app_licences("3", 5, 10, is_listed=False),
        app_licences("4", 3, 10, name="App 1"),
    ]
    found = list(figures.of_content_tokens([content_token_view("hq")], {"id-hq": apps}))
    assert samples(found, "licences_available") == {"App 1": 17, "App 1 (4 STDQ)": 3}
    assert samples(found, "licences_total") == {"App 1": 500, "App 1 (4 STDQ)": 10}
    assert samples(found, "content_token_days_left") == {"hq": 200}
    assert samples(found, "content_token_active") == {"hq": 1}


def test_of_many_apps_only_the_first_are_told() -> None:
    apps = [app_licences(str(number), 1, 10) for number in range(figures.APPS_AT_MOST + 5)]
    found = list(figures.of_content_tokens([content_token_view("hq")], {"id-hq": apps}))
    assert len(samples(found, "licences_available")) == figures.APPS_AT_MOST
