"""Named instants at which a test ends the service as a power cut would.

They stand where one step of the work is done and the next is not. Without $ENVKILN_FAULT_POINT, reaching one costs a
comparison.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "ENVKILN_FAULT_POINT"
"""The name of a point: this process is killed when it is reached."""
_WANTED: Final = os.environ.get(VARIABLE)


def reach(point: str) -> None:
    """End this process at once, with nothing cleaned up, where $ENVKILN_FAULT_POINT names this point."""
    if point == _WANTED:
        os.kill(os.getpid(), signal.SIGKILL)
