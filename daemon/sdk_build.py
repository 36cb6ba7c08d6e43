"""Building a registered version: at once (`build_local`), or in the background (`build`) (FACTS §2.7)."""

import shutil
import tempfile
import threading
from pathlib import Path

from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.setup_content import setup_content
from envkiln.cache.setup_names import EXTRA_FILES, SETUP, SPECIFICATION
from envkiln.daemon.sdk_conda_build import ensure_conda_environment
from envkiln.daemon.sdk_errors import UserErrorException, translated
from envkiln.daemon.sdk_image import ensure_image, push_image
from envkiln.daemon.sdk_registered import definition_of, tree_of
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.write_content import write_content


def build_here(workspace: Workspace, version: RegisteredVersion, *, use_docker: bool, push: bool) -> None:
    """Make the image, or the conda environment, of a version; prints what the client prints, and the build's lines.

    Raises BuildFailedException, and UserErrorException for a conda environment that the version does not have.
    """
    definition, identity = definition_of(workspace, version)
    content = setup_content(definition, identity, Dialect.CLASSIC)
    with tempfile.TemporaryDirectory(prefix="envkiln-setup-") as made:
        directory = Path(made)
        # Two spaces, as the client prints them.
        print("Saving setup content into ", directory)  # noqa: T201
        with translated():
            write_content(content, tree_of(workspace, version), directory)
        if use_docker:
            ensure_image(workspace, version, print)
            if push:
                push_image(workspace, version, print)
        elif identity.conda_environment is None:
            message = f"{version.reference} has no conda environment: userManagedDependencies is true"
            raise UserErrorException(message, hint="build its image, with useDocker=True")
        else:
            _lay_beside(directory / SETUP)
            ensure_conda_environment(identity.conda_environment, directory / SETUP / SPECIFICATION, print)


def _lay_beside(setup: Path) -> None:
    """Lay the local files of the pip part where the specification refers to them, as the Dockerfile does."""
    if (setup / EXTRA_FILES).is_dir():
        shutil.copytree(setup / EXTRA_FILES, setup, dirs_exist_ok=True)


class ImageBuildDetails:
    """A build in the background, which the process waits for when it ends."""

    def __init__(self, workspace: Workspace, version: RegisteredVersion) -> None:
        self._workspace = workspace
        self._version = version
        self._lines: list[str] = []
        self._error: EnvkilnError | None = None
        self._thread = threading.Thread(target=self._run, name=f"envkiln-build-{version.reference}")
        self._thread.start()

    @property
    def status(self) -> str:
        """`Running`, `Succeeded` or `Failed`."""
        if self._thread.is_alive():
            return "Running"
        return "Succeeded" if self._error is None else "Failed"

    def get_log(self) -> str:
        """Return what the build has printed up to now."""
        return "\n".join(self._lines)

    def wait_for_completion(self, show_output: bool = True) -> "ImageBuildDetails":
        """Return when the build has ended; raises what it failed with."""
        self._thread.join()
        if show_output:
            print(self.get_log())  # noqa: T201
            print(f"Image Build Status: {self.status}")  # noqa: T201
        if self._error is not None:
            raise self._error
        return self

    def _run(self) -> None:
        try:
            ensure_image(self._workspace, self._version, self._lines.append)
            if self._workspace.has_registry:
                push_image(self._workspace, self._version, self._lines.append)
        except EnvkilnError as error:
            self._lines.append(str(error))
            self._error = error
