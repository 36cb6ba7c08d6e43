"""Who builds an image now: a note in the registry beside the image's tags, for those that share it.

The note is a manifest without layers under the tag `building`. It has the token of a service and a beat that changes
while the service lives. No clocks are compared: a note that stays the same for a while is of somebody who has gone.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, replace

from envkiln.daemon.registry_client import Document, RegistryClient
from envkiln.daemon.registry_errors import NoAnswer

TAG = "building"
_KIND = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = b"{}"
_WHO = "envkiln.builder"
_BEAT = "envkiln.beat"
_ENDED = "ended"
_BEATS = 4
"""So many notes at most are left of a build, however long it takes: they are used in turn."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The note of the service `who`."""

    who: str
    beat: str = "0"

    @property
    def ended(self) -> bool:
        """Whether the service has said that it builds no more."""
        return self.beat == _ENDED

    def next(self) -> "Claim":
        """Return the note of a moment later."""
        return replace(self, beat=str((int(self.beat) + 1) % _BEATS))

    def document(self) -> Document:
        """Return the note as it is written."""
        empty = Document(_EMPTY, "application/vnd.oci.empty.v1+json")
        manifest = {
            "schemaVersion": 2,
            "mediaType": _KIND,
            "config": {"mediaType": empty.media_type, "digest": empty.digest, "size": len(_EMPTY)},
            "layers": [],
            "annotations": {_WHO: self.who, _BEAT: self.beat},
        }
        return Document(json.dumps(manifest, sort_keys=True).encode(), _KIND)


def claim_of(document: Document) -> Claim | None:
    """Return the note that a manifest is; None for anything else."""
    with suppress(ValueError, AttributeError, TypeError, KeyError):
        annotations = json.loads(document.data)["annotations"]
        return Claim(str(annotations[_WHO]), str(annotations[_BEAT]))
    return None


def read_claim(client: RegistryClient, name: str) -> Claim | None:
    """Return the note about `name`, None where there is none; raises NoAnswer."""
    document = client.manifest(name, TAG)
    return claim_of(document) if document is not None else None


def write_claim(client: RegistryClient, name: str, claim: Claim) -> None:
    """Write the note; raises NoAnswer."""
    client.put_blob(name, _EMPTY)
    client.put_manifest(name, TAG, claim.document())


def drop_claim(client: RegistryClient, name: str, claim: Claim) -> None:
    """Take the note away; where a registry deletes nothing, write that it has ended. Raises NoAnswer."""
    try:
        client.delete_manifest(name, claim.document().digest)
    except NoAnswer:
        write_claim(client, name, replace(claim, beat=_ENDED))
