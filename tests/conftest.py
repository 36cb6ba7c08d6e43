"""What every test stands on, whoever started the run."""

import signal


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: a shell starts its background commands with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
