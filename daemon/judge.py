"""Which phase the facts give an environment, and why: pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from envkiln.daemon.events import KnownImage, Now
from envkiln.daemon.registry_facts import Remote, is_remote
from envkiln.daemon.state import Build, Environment, Failure, Phase


@dataclass(frozen=True, slots=True)
class Facts:
    """What counts for a verdict. `why` explains names that just changed, `edited` are ids that just did.

    `listed` says that the engine's images are known.
    """

    images: Mapping[str, KnownImage]
    builds: Mapping[str, Build]
    failures: Mapping[str, Failure]
    forced: Collection[str]
    remote: Mapping[str, Remote]
    needed: Collection[str]
    why: Mapping[str, str]
    edited: Collection[str]
    listed: bool
    now: Now


def judge(environment: Environment, facts: Facts) -> tuple[Phase, str]:
    """Return the phase of `environment` and the reason, for a person."""
    name = environment.wanted
    if name is None:
        return Phase.INVALID, str(environment.problem)
    build = facts.builds.get(name)
    if build is not None and not build.cancelling:
        return Phase.BUILDING, _why_building(environment, build, facts)
    builds = environment.sighting.settings.build
    if name in facts.images and not (builds and name in facts.forced):
        return Phase.READY, _why_ready(environment, name, facts)
    if not builds:
        return Phase.NAMED, "the setting `build` is false"
    remote = facts.remote.get(name)
    if is_remote(environment.sighting, remote) and name not in facts.needed and name not in facts.forced:
        repository = remote.image.repository if remote and remote.image else "a registry"
        return Phase.READY, f"{repository} has it: pulled when it is needed"
    failure = facts.failures.get(name)
    return _why_not_ready(failure, facts.why.get(name), facts)


def _why_building(environment: Environment, build: Build, facts: Facts) -> str:
    if build.id != environment.sighting.id:
        return f"together with {build.id}"
    if build.name in facts.why:
        return facts.why[build.name]
    return environment.reason if environment.phase is Phase.BUILDING else "building"


def _why_ready(environment: Environment, name: str, facts: Facts) -> str:
    if environment.phase is Phase.READY and environment.last_good == name and environment.reason:
        return environment.reason
    if name in facts.why:
        return facts.why[name]
    if environment.sighting.id in facts.edited and environment.last_good not in (None, name):
        return "an image of this content exists: tagged, not built"
    return "an image of this content exists"


def _why_not_ready(failure: Failure | None, why: str | None, facts: Facts) -> tuple[Phase, str]:
    if failure is None:
        return Phase.QUEUED, why or ("no image of this name" if facts.listed else "the engine is not asked yet")
    if failure.retry_at is None:
        return Phase.FAILED, str(failure.problem)
    if failure.retry_at <= facts.now.monotonic:
        return Phase.QUEUED, f"tries again after: {failure.problem}"
    return Phase.FAILED, f"{failure.problem} (tries again by itself)"
