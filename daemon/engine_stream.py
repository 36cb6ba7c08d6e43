"""Answers of the engine that go on for as long as somebody listens, and how to stop listening."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import docker
    import requests


@contextmanager
def streaming(client: "docker.APIClient", receive: Callable[["requests.Response"], None]) -> Iterator[None]:
    """Hand each response that `client` gets to `receive`, and close them and the client at the end.

    docker-py keeps the responses it streams for itself, and leaves a connection open that was not read to its end:
    the engine would go on.
    """
    responses: list[requests.Response] = []

    def received(response: "requests.Response", *_: Any, **__: Any) -> None:
        responses.append(response)
        receive(response)

    client.hooks["response"].append(received)
    try:
        yield
    finally:
        for response in responses:
            response.close()
        client.close()


def interrupt(response: "requests.Response") -> None:
    """End a response that another thread is reading: its read returns, and it closes the connection.

    Not docker-py's way, which closes the socket under the reader: the number may be another file's by then.
    """
    # A connection that just ended by itself; or one through ssh, which has no half to shut down.
    with suppress(Exception):
        response.raw.shutdown()
