"""How much room the engine's disk has, where it is a disk of this machine."""

import os

from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_values import EngineInfo


def free_bytes(engine: Engine, info: EngineInfo | None) -> int | None:
    """Return how many bytes may still be written below the engine's data root; None where that is not known here."""
    if info is None or not info.data_root or not engine.is_local():
        return None
    try:
        found = os.statvfs(info.data_root)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
