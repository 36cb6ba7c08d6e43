"""A network bridge of the private engine's own, with the few rules that lead out of it.

Left to itself, an engine makes or removes `docker0` and rewrites the machine's
DOCKER chains, which may belong to another engine. So the private one manages no
rules at all and gets a bridge that exists already.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from steps import TestbedError

if TYPE_CHECKING:
    from collections.abc import Mapping

CANDIDATES = [f"172.31.{number}" for number in range(200, 255)]
SIOCSIFFLAGS = 0x8914
SIOCSIFADDR = 0x8916
SIOCSIFNETMASK = 0x891C
SIOCBRADDBR = 0x89A0
SIOCBRDELBR = 0x89A1
IFF_UP = 1


class Bridge:
    """A bridge whose name follows from its owner's directory."""

    def __init__(self, owner: Path, environment: Mapping[str, str]) -> None:
        # An interface name has at most 15 characters.
        self.name = "ekiln" + hashlib.sha256(os.fsencode(owner)).hexdigest()[:8]
        self._memory = owner / "bridge"
        self._environment = dict(environment)

    def provide(self) -> str:
        """Make bridge and rules where they are missing; says what containers can reach."""
        try:
            if not self._exists():
                self._create()
        except OSError as error:
            raise TestbedError(f"cannot make a network bridge: {error}", "the engine needs CAP_NET_ADMIN") from error
        for rule in self._rules():
            if not self._iptables("-C", rule) and not self._iptables("-I", rule):
                return "bridge without a way out (no NAT here): use the host's network"
        return "bridge"

    def remove(self) -> None:
        """Take the rules and the bridge away; harmless when they are not there."""
        for rule in self._rules():
            self._iptables("-D", rule)
        with contextlib.suppress(OSError):
            # Down (no flags) first: the kernel keeps an interface that is up.
            self._control(SIOCSIFFLAGS, struct.pack("H", 0))
            self._control_bridge(SIOCBRDELBR)
        self._memory.unlink(missing_ok=True)

    def _create(self) -> None:
        network = free_network()
        self._control_bridge(SIOCBRADDBR)
        self._control(SIOCSIFADDR, internet_address(f"{network}.1"))
        self._control(SIOCSIFNETMASK, internet_address("255.255.255.0"))
        self._control(SIOCSIFFLAGS, struct.pack("H", IFF_UP))
        # An earlier boot may have used another network: forget its rules.
        self._memory.write_text(network)

    def _rules(self) -> list[list[str]]:
        if not self._memory.exists():
            return []
        network = f"{self._memory.read_text()}.0/24"
        forward = ["FORWARD", "-i", self.name, "-j", "ACCEPT"]
        back = ["FORWARD", "-o", self.name, "-d", network]
        back += ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
        leave = ["POSTROUTING", "-s", network, "!", "-o", self.name, "-j", "MASQUERADE"]
        return [["filter", *forward], ["filter", *back], ["nat", *leave]]

    def _iptables(self, action: str, rule: list[str]) -> bool:
        table, *words = rule
        command = ["iptables", "-w", "-t", table, action, *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        return done.returncode == 0

    def _exists(self) -> bool:
        return (Path("/sys/class/net") / self.name).exists() and self._memory.exists()

    def _control(self, request: int, value: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, request, struct.pack("16s24s", self.name.encode(), value))

    def _control_bridge(self, request: int) -> None:
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with control, contextlib.suppress(FileExistsError):
            fcntl.ioctl(control, request, self.name.encode() + b"\0")


def internet_address(text: str) -> bytes:
    """An IPv4 address as `struct sockaddr_in`."""
    return struct.pack("HH4s8x", socket.AF_INET, 0, ipaddress.IPv4Address(text).packed)


def free_network() -> str:
    """The first three numbers of a private network that no route of this machine leads to."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    taken: list[ipaddress.IPv4Network] = []
    for route in routes:
        fields = route.split()
        # Addresses and masks are hexadecimal numbers in the machine's byte order.
        target, mask = (ipaddress.IPv4Address(int(fields[column], 16).to_bytes(4, sys.byteorder)) for column in (1, 7))
        if int(mask):  # not the default route, which overlaps everything
            taken.append(ipaddress.IPv4Network(f"{target}/{mask}", strict=False))
    for candidate in CANDIDATES:
        wanted = ipaddress.IPv4Network(f"{candidate}.0/24")
        if not any(wanted.overlaps(network) for network in taken):
            return candidate
    raise TestbedError("no free network for a bridge among 172.31.200-254")


def can_filter(environment: Mapping[str, str]) -> bool:
    """Whether `iptables` reaches a NAT table."""
    command = ["iptables", "-w", "-t", "nat", "-L", "-n"]
    probe = subprocess.run(command, env=dict(environment), capture_output=True, check=False)
    return probe.returncode == 0
