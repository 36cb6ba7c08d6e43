"""The webhook against a real receiver on this machine."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from receiving import Receiver, receiving
from values import SETTINGS

from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.notify_webhook import TRIES, Webhook, signature

SECRET = "correct-horse-battery"  # noqa: S105
NOTICE = Notice("failed", "gpu/train", "failed", "azureml/azureml_1", "no way", "loosen a version", 12.5, SETTINGS)
PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def send(webhook: Webhook, notice: Notice = NOTICE) -> None:
    asyncio.run(webhook.send(notice))


def hook(receiver: Receiver, **more: Any) -> Webhook:
    return Webhook(receiver.url, **{"source": "envkiln.toml:3", "first_wait_s": 0.001, **more})


def documented() -> Callable[[bytes, str, str], bool]:
    """Return the check of a signature that the documentation shows."""
    shown = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    names: dict[str, Any] = {}
    exec(shown[1], names)  # noqa: S102 -- our own page
    check: Callable[[bytes, str, str], bool] = names["is_genuine"]
    return check


def test_a_notice_is_posted_as_json(receiver: Receiver) -> None:
    send(hook(receiver))

    ((path, headers, body),) = receiver.got
    assert path == "/hook?token=s3cret"
    assert headers["content-type"] == "application/json"
    assert headers["envkiln-delivery"] == NOTICE.id
    assert "envkiln-signature" not in headers
    assert json.loads(body) == {
        "event": "failed",
        "environment": "gpu/train",
        "state": "failed",
        "image": "azureml/azureml_1",
        "reason": "no way",
        "hint": "loosen a version",
        "time": 12.5,
        "id": NOTICE.id,
        "text": "gpu/train: failed: no way (loosen a version)",
    }


def test_the_documented_check_takes_what_is_sent_and_nothing_else(receiver: Receiver) -> None:
    send(hook(receiver, secret=SECRET))

    ((_, headers, body),) = receiver.got
    check = documented()
    assert check(body, headers["envkiln-signature"], SECRET)
    assert not check(body + b" ", headers["envkiln-signature"], SECRET)
    assert not check(body, headers["envkiln-signature"], SECRET + "x")
    assert not check(body, signature(SECRET, body, 1.0), SECRET), "too old"
    assert not check(body, "", SECRET)


def test_the_documented_message_is_what_is_sent(receiver: Receiver) -> None:
    send(hook(receiver))

    shown = re.search(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert list(json.loads(shown[1])) == list(json.loads(receiver.got[0][2]))


def test_the_secret_may_be_in_a_file_and_without_it_nothing_is_sent(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    webhook = hook(receiver, secret_file=file)
    with pytest.raises(NotifyError, match="has no secret; nothing is sent"):
        send(webhook)
    assert receiver.got == []
    file.write_text(f"{SECRET}\n")
    send(webhook)

    ((_, headers, body),) = receiver.got
    assert documented()(body, headers["envkiln-signature"], SECRET)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_receiver_that_is_not_well_is_tried_again_with_the_same_delivery(receiver: Receiver, status: int) -> None:
    receiver.answers = [status, status]
    send(hook(receiver))

    assert [headers["envkiln-delivery"] for _, headers, _ in receiver.got] == [NOTICE.id] * 3


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
def test_a_refusal_is_not_tried_again_and_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    with pytest.raises(NotifyError, match=f"it answers {status}"):
        send(hook(receiver))

    assert len(receiver.got) == 1


def test_it_is_given_up_in_the_end(receiver: Receiver) -> None:
    receiver.answers = [503] * 10
    with pytest.raises(NotifyError, match="it answers 503; given up after 5 tries"):
        send(hook(receiver))

    assert len(receiver.got) == TRIES


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/s3cret", "http://s3cret.invalid/s3cret", "https://127.0.0.1:1/s3cret"]
)
def test_a_receiver_that_is_not_there_is_told_without_its_address(url: str) -> None:
    webhook = Webhook(url, SECRET, source="envkiln.toml:3", first_wait_s=0.001)
    with pytest.raises(NotifyError, match="cannot be reached") as caught:
        send(webhook)

    shown = f"{caught.value} {caught.value.hint} {webhook!r} {webhook.name}"
    assert "s3cret" not in shown
    assert SECRET not in shown


def test_a_user_and_a_password_in_the_url_are_sent_as_such(receiver: Receiver) -> None:
    send(Webhook(receiver.url.replace("http://", "http://ada:p%40ss@")))

    ((path, headers, _),) = receiver.got
    assert path == "/hook?token=s3cret"
    assert headers["authorization"] == "Basic YWRhOnBAc3M="


def test_a_name_that_is_not_utf_8_is_sent_with_escapes(receiver: Receiver) -> None:
    send(hook(receiver), Notice("ready", "a\udcff", "ready", None, "x", None, 1.0, SETTINGS))

    assert b'"a\\udcff"' in receiver.got[0][2]


def test_who_stops_does_not_wait_for_a_receiver_that_hangs(receiver: Receiver) -> None:
    receiver.answers = [0]

    async def stop() -> None:
        task = asyncio.create_task(hook(receiver).send(NOTICE))
        async with asyncio.timeout(60):
            while not receiver.got:  # noqa: ASYNC110 -- it is filled by another thread
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop())
    assert not receiver.hang.is_set()
