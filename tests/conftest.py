"""What every test stands on, whoever started the run: hypothesis takes the same examples every time."""

import signal

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.load_profile("same")


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a shell starts its background commands with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
