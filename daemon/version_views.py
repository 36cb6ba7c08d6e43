"""Registered versions as messages: `messages.VersionView` and what goes with it."""

from collections.abc import Collection, Sequence

from envkiln.cache.definition import ImageReference
from envkiln.cache.registered_version import RegisteredVersion, StoredFile, VersionError
from envkiln.cache.registration import latest
from envkiln.daemon.aliases import repository_name
from envkiln.daemon.messages import StoredFileView, VersionDetail, VersionPage, VersionView
from envkiln.daemon.version_reference import LATEST, VersionReference


def tag_of(version: RegisteredVersion) -> str:
    """Return the tag of a version's image, `<name>:<version>`, in lower case as Docker wants it."""
    return str(ImageReference(repository_name(version.name), str(version.version)))


def version_views(
    versions: Sequence[RegisteredVersion], images: Collection[str] | None = None
) -> tuple[VersionView, ...]:
    """Return the views of `versions`, which are all of a workspace or all of a name.

    `images` are the names of the images in the engine, None where it was not asked.
    """
    by_name: dict[str, list[RegisteredVersion]] = {}
    for version in versions:
        by_name.setdefault(version.name, []).append(version)
    newest = {name: latest(known) for name, known in by_name.items()}
    return tuple(_view(version, images, is_latest=newest[version.name] == version) for version in versions)


def version_page(
    versions: Sequence[RegisteredVersion],
    *,
    images: Collection[str] | None = None,
    name: str | None = None,
    archived: bool = False,
    after: str | None = None,
    limit: int,
) -> VersionPage:
    """Return a page of all `versions` of a workspace: of one name, with archived ones or without."""
    fitting = [it for it in versions if name in (None, it.name) and (archived or not it.archived)]
    start = 0
    if after is not None:
        start = next((number + 1 for number, it in enumerate(fitting) if it.reference == after), len(fitting))
    chosen = fitting[start : start + limit]
    shown = {it.name for it in chosen}
    views = {view.reference: view for view in version_views([it for it in versions if it.name in shown], images)}
    return VersionPage(
        items=tuple(views[it.reference] for it in chosen),
        total=len(fitting),
        next=chosen[-1].reference if start + limit < len(fitting) else None,
    )


def version_by(
    reference: str, versions: Sequence[RegisteredVersion], images: Collection[str] | None = None
) -> VersionDetail | None:
    """Return everything about what `reference` stands for, None where it stands for nothing."""
    try:
        wanted = VersionReference.parse(reference)
    except VersionError:
        return None
    if wanted.label != LATEST:
        return None
    known = [it for it in versions if it.name == wanted.name]
    found = latest(known) if wanted.number is None else next((it for it in known if it.version == wanted.number), None)
    return version_detail(found, known, images) if found else None


def version_view(version: RegisteredVersion, versions: Sequence[RegisteredVersion]) -> VersionView:
    """Return the view of one of `versions`."""
    return _view(version, None, is_latest=_is_latest(version, versions))


def version_detail(
    version: RegisteredVersion, versions: Sequence[RegisteredVersion], images: Collection[str] | None = None
) -> VersionDetail:
    """Return everything about one of `versions`."""
    view = _view(version, images, is_latest=_is_latest(version, versions))
    return VersionDetail(
        **{name: getattr(view, name) for name in view.__struct_fields__},
        main=version.main,
        content=version.content,
        files=tuple(map(_file_view, version.files)),
    )


def _is_latest(version: RegisteredVersion, versions: Sequence[RegisteredVersion]) -> bool:
    newest = latest([it for it in versions if it.name == version.name])
    return newest is not None and newest.version == version.version


def _file_view(file: StoredFile) -> StoredFileView:
    return StoredFileView(
        path=file.path,
        text=file.text,
        sha256=file.sha256,
        link=file.target,
        directory=file.directory,
        executable=file.executable,
    )


def _view(version: RegisteredVersion, images: Collection[str] | None, *, is_latest: bool) -> VersionView:
    return VersionView(
        name=version.name,
        version=version.version,
        reference=version.reference,
        latest=is_latest,
        archived=version.archived,
        description=version.description,
        image=version.image,
        tag=tag_of(version),
        there=None if images is None else version.image in images,
        conda_environment=version.conda_environment,
        base_image=version.base_image,
        format=version.format.value,
        recipe=version.recipe,
    )
