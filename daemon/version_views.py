"""Registered versions as messages: `messages.VersionView` and what goes with it."""

from collections.abc import Sequence

from envkiln.cache.definition import ImageReference
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.registration import latest
from envkiln.daemon.aliases import repository_name
from envkiln.daemon.messages import StoredFileView, VersionDetail, VersionView


def tag_of(version: RegisteredVersion) -> str:
    """Return the tag of a version's image, `<name>:<version>`, in lower case as Docker wants it."""
    return str(ImageReference(repository_name(version.name), str(version.version)))


def version_views(versions: Sequence[RegisteredVersion]) -> tuple[VersionView, ...]:
    """Return the views of `versions`, which are all of a workspace."""
    by_name: dict[str, list[RegisteredVersion]] = {}
    for version in versions:
        by_name.setdefault(version.name, []).append(version)
    newest = {name: latest(known) for name, known in by_name.items()}
    return tuple(_view(version, is_latest=newest[version.name] == version) for version in versions)


def version_view(version: RegisteredVersion, versions: Sequence[RegisteredVersion]) -> VersionView:
    """Return the view of one of `versions`."""
    newest = latest([it for it in versions if it.name == version.name])
    return _view(version, is_latest=newest is not None and newest.version == version.version)


def version_detail(version: RegisteredVersion, versions: Sequence[RegisteredVersion]) -> VersionDetail:
    """Return everything about one of `versions`."""
    view = version_view(version, versions)
    return VersionDetail(
        **{name: getattr(view, name) for name in view.__struct_fields__},
        main=version.main,
        content=version.content,
        files=tuple(
            StoredFileView(
                path=file.path,
                text=file.text,
                sha256=file.sha256,
                link=file.target,
                directory=file.directory,
                executable=file.executable,
            )
            for file in version.files
        ),
    )


def _view(version: RegisteredVersion, *, is_latest: bool) -> VersionView:
    return VersionView(
        name=version.name,
        version=version.version,
        reference=version.reference,
        latest=is_latest,
        archived=version.archived,
        description=version.description,
        image=version.image,
        tag=tag_of(version),
        conda_environment=version.conda_environment,
        base_image=version.base_image,
        format=version.format.value,
        recipe=version.recipe,
    )
