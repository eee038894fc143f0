"""The figures for Prometheus, scraped over HTTP from the whole bot."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.flows.conftest import House

Labels = dict[str, str]


async def scrape(house: House) -> dict[str, list[tuple[Labels, float]]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{house.url}/metrics")
    assert answer.status_code == 200
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    for secret in (house.settings.slack_bot_token, house.settings.encryption_keys):
        assert secret is None or secret.get_secret_value() not in answer.text
    return found


async def test_tokens_deadlines_requests_calls_and_syncs_are_told(house: House) -> None:
    await house.has_token("paris", devices=7)
    await house.types(house.ana, "/enroll watch add mdm-push 2026-05-31")
    found = await scrape(house)
    paris = {"token": "paris"}
    assert found["enrollbot_facts_up"] == [({}, 1.0)]
    assert found["enrollbot_devices"] == [(paris, 7.0)]
    assert found["enrollbot_devices_without_profile"] == [(paris, 7.0)]
    [(labels, days)] = found["enrollbot_token_days_left"]
    [(_, expiry)] = found["enrollbot_token_expiry_timestamp_seconds"]
    assert labels == paris
    assert 0 <= days - (expiry - house.clock.now().timestamp()) / 86400 < 1
    assert ({"token": "paris", "state": "active"}, 1.0) in found["enrollbot_token_state"]
    assert found["enrollbot_token_last_sync_timestamp_seconds"][0][0] == paris
    assert found["enrollbot_deadline_days_left"] == [({"deadline": "mdm-push"}, 30.0)]
    assert [labels["level"] for labels, _ in found["enrollbot_alerts_open"]] == [
        "note",
        "warning",
        "critical",
    ]
    assert found["enrollbot_requests"] == [({"state": "pending"}, 0.0), ({"state": "running"}, 0.0)]
    services = {labels["service"] for labels, count in found["enrollbot_calls_total"] if count}
    assert {"apple", "slack"} <= services
    assert ({"kind": "full", "state": "finished"}) in [each[0] for each in found["enrollbot_syncs_total"]]
    assert found["enrollbot_sync_seconds_count"]
