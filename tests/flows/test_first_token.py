"""The main job, end to end: a token in, devices synced, seen in Slack's stand-in."""

from tests.flows.conftest import House


async def test_an_admin_adds_a_token_and_sees_its_devices(house: House) -> None:
    ana = house.ana
    house.apple.create_server("paris", devices=2500)

    await ana.types("/enroll token add paris --apple-id ade@example.com --agree")
    await ana.sees("Upload server token")
    certificate = await ana.downloads("paris.pem")
    house.apple.upload_certificate("paris", certificate)
    name, content = house.apple.generate_token("paris", "ade@example.com")
    await ana.presses("Upload server token")
    await ana.uploads("Server token (.p7m)", name, content, submit=True)
    await ana.sees_modal("Example Trust")
    await ana.closes()
    await house.settle()

    await ana.sees("2,500")
    ana.reads()
    await ana.types("/enroll device list model:iPad")
    page = await ana.sees("iPad")
    assert "Next" in page.buttons
    await ana.presses("Next")
    serial = house.apple.snapshot("paris")[0]["serial_number"]
    ana.reads()
    await ana.types(f"/enroll device show {serial.lower()}")
    await ana.sees(serial)
    assert house.slack.complaints == []
