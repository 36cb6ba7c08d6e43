"""The numbers, as Prometheus reads them, over a real socket."""

import subprocess
import sys
from pathlib import Path

from fake_service import FakeService, serving, unix_listener
from prometheus_client.parser import text_string_to_metric_families
from unix_http import ask, following

from envkiln.daemon.api import make_api
from envkiln.daemon.metrics import Metrics


def scraped(socket: Path) -> dict[str, float]:
    """Return every sample by its name and labels."""
    answer = ask(socket, "GET", "/metrics")
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_everything_is_counted(tmp_path: Path) -> None:
    service, metrics, socket = FakeService(tmp_path), Metrics(watches=lambda: 12), tmp_path / "socket"
    for state, seconds in [("built", 3.0), ("built", 5.0), ("failed", 4000.0), ("cancelled", 1.0)]:
        metrics.build_ended(state, seconds)
    metrics.skipped()
    metrics.skipped()
    metrics.event_lag(0.003)
    with unix_listener(socket) as listener, serving(service, make_api(service, metrics=metrics), listener):
        with following(socket, "/v1/events") as stream:
            stream.event()
            found = scraped(socket)
        service.disconnect_engine()
        assert scraped(socket)["envkiln_engine_up"] == 0
    expected = {
        "envkiln_environments,ready": 3,
        "envkiln_environments,failed": 1,
        "envkiln_queue_length": 1,
        "envkiln_builds_running": 1,
        "envkiln_engine_up": 1,
        "envkiln_followers": 1,
        "envkiln_watches": 12,
        "envkiln_skips_total": 2,
        "envkiln_builds_total,built": 2,
        "envkiln_builds_total,failed": 1,
        "envkiln_builds_total,cancelled": 1,
        "envkiln_build_seconds_bucket,2.0": 0,
        "envkiln_build_seconds_bucket,5.0": 2,
        "envkiln_build_seconds_bucket,3600.0": 2,
        "envkiln_build_seconds_bucket,+Inf": 3,
        "envkiln_build_seconds_count": 3,
        "envkiln_build_seconds_sum": 4008,
        "envkiln_event_lag_seconds_bucket,0.002": 0,
        "envkiln_event_lag_seconds_bucket,0.005": 1,
        "envkiln_event_lag_seconds_count": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_who_does_not_ask_for_numbers_does_not_pay_for_them() -> None:
    code = "import sys, envkiln.daemon.api; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
