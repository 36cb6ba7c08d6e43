"""Which file systems tell about changes: some never send an event, or none for what other machines change."""

import re
from pathlib import Path
from typing import Final

_SILENT: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "vboxsf", "prl_fs", "vmhgfs", "virtiofs", "ceph",
     "glusterfs", "lustre", "gpfs", "beegfs", "afs", "ncpfs", "fuse"}
)  # fmt: skip
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def needs_polling(mountinfo: str, path: Path) -> str | None:
    """Return the type of the file system that `path` (absolute, links resolved) is on when it has to be polled.

    `mountinfo` is the text of `/proc/self/mountinfo`, proc_pid_mountinfo(5). A line that cannot be read is passed over.
    """
    best: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        mount, separator, source = line.partition(" - ")
        fields = mount.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        depth = len(point.parts)
        # At the same place, the later mount covers the earlier one.
        if path.is_relative_to(point) and (best is None or depth >= best[0]):
            best = (depth, source.split(" ")[0])
    if best is None:
        return None
    kind = best[1]
    return kind if kind in _SILENT or kind.startswith("fuse.") else None
