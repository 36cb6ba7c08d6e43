"""An SSH server that runs what one key asks for: a host whose engine is reached by DOCKER_HOST=ssh://."""

import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

_GONE = (OSError, EOFError, paramiko.SSHException)
"""How paramiko tells of a session whose other end has gone."""


class SshHost:
    """Listens on 127.0.0.1; `url` is its address for DOCKER_HOST. `close` ends every session.

    `client` is a directory for PATH whose `ssh` knows this host and has its key, and reads nobody's ~/.ssh.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._host_key = paramiko.RSAKey.generate(2048)
        user_key = paramiko.RSAKey.generate(2048)
        self._allowed = user_key.get_base64()
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = f"ssh://tester@127.0.0.1:{port}"
        self.client = directory / "ssh-client"
        self.client.mkdir()
        user_key.write_private_key_file(str(directory / "key"))
        known = f"[127.0.0.1]:{port} {self._host_key.get_name()} {self._host_key.get_base64()}\n"
        (directory / "known_hosts").write_text(known)
        options = f"-F none -i {directory}/key -o UserKnownHostsFile={directory}/known_hosts -o BatchMode=yes"
        (self.client / "ssh").write_text(f'#!/bin/sh\nexec {_real_ssh()} {options} "$@"\n')
        (self.client / "ssh").chmod(0o755)
        self._transports: list[paramiko.Transport] = []
        self._sessions: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for transport in self._transports:
            transport.close()
        for session in self._sessions:
            session.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self._host_key)
                self._transports.append(transport)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Session(self._allowed, self._begin))

    def _begin(self, channel: paramiko.Channel, command: str) -> None:
        self._sessions.append(threading.Thread(target=self._run, args=(channel, command)))
        self._sessions[-1].start()

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        words, pipe = shlex.split(command), subprocess.PIPE
        with subprocess.Popen(words, env=self._environ, stdin=pipe, stdout=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            into, out = process.stdin, process.stdout
            sender = threading.Thread(target=_pump, args=(channel.recv, into.fileno(), into.close))
            sender.start()
            with suppress(*_GONE):
                while data := os.read(out.fileno(), 65536):
                    channel.sendall(data)
            process.kill()
            with suppress(*_GONE):
                channel.close()
            sender.join()


def _pump(receive: Callable[[int], bytes], target: int, close: Callable[[], None]) -> None:
    with suppress(*_GONE):
        while data := receive(65536):
            os.write(target, data)
    with suppress(OSError):
        close()


def _real_ssh() -> str:
    found = subprocess.run(["sh", "-c", "command -v ssh"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


class _Session(paramiko.ServerInterface):
    def __init__(self, allowed: str, begin: Callable[[paramiko.Channel, str], None]) -> None:
        self._allowed = allowed
        self._begin = begin

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        right = key.get_base64() == self._allowed
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: Any) -> bool:
        self._begin(channel, command.decode())
        return True
