"""Certificates for mutual TLS on this machine: one authority, a server, a client, and a client nobody trusts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from steps import TestbedError, is_stamped, run, stamp

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = "1"
DAYS = "3650"


def provide_certificates(directory: Path) -> bool:
    """Fill `directory` as Docker's DOCKER_CERT_PATH wants it; tells whether it had to.

    `ca.pem`, `cert.pem` and `key.pem` are the client's, `server-*.pem` the engine's; `stranger/` has the same three
    files, of another authority.
    """
    if is_stamped(directory, RECIPE):
        return False
    if shutil.which("openssl") is None:
        raise TestbedError("openssl is not on this machine", "install it (Debian: apt-get install openssl)")
    shutil.rmtree(directory, ignore_errors=True)
    stranger = directory / "stranger"
    for place in (directory, stranger):
        place.mkdir(parents=True)
        _authority(place)
        _signed(place, "", "clientAuth")
    _signed(directory, "server-", "serverAuth")
    # The stranger knows the engine; the engine does not know the stranger.
    shutil.copyfile(directory / "ca.pem", stranger / "ca.pem")
    stamp(directory, RECIPE)
    return True


def _authority(place: Path) -> None:
    run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                DAYS,
                "-subj",
                "/CN=test bed",
            ),
            *("-keyout", place / "ca-key.pem", "-out", place / "ca.pem"),
        ]
    )


def _signed(place: Path, prefix: str, usage: str) -> None:
    key, request, extensions = place / f"{prefix}key.pem", place / "request.pem", place / "extensions"
    run(
        [
            *("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", key, "-out", request),
        ]
    )
    extensions.write_text(f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n")
    run(
        [
            *("openssl", "x509", "-req", "-in", request, "-days", DAYS, "-CA", place / "ca.pem"),
            *("-CAkey", place / "ca-key.pem", "-CAcreateserial", "-extfile", extensions),
            *("-out", place / f"{prefix}cert.pem"),
        ]
    )
    request.unlink()
    extensions.unlink()
