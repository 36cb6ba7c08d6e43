"""`CondaDependencies`: a conda specification that can be changed, as the v1 client has it (FACTS §2.2, §2.3)."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_packages import is_option, is_python, merged, option_name, pip_name, python_version
from envkiln.daemon.sdk_specification import default_specification, read_specification, specification_text
from envkiln.daemon.whole_file import write_whole

PYTHON_DEFAULT_VERSION = "3.10.18"
_FIND_LINKS = "https://pypi.python.org/simple/index.html"
_INDEX = "https://pypi.python.org/simple"
_TENSORFLOW = "2.2.0"
_CNTK = "2.7"
_AUTOMATIC = Path(".azureml") / "auto_conda_dependencies.yml"


class CondaDependencies:
    """A conda specification. Without a file it is the client's default one.

    Comments of a file are lost: they enter neither a name nor an image. Where a specification has several `pip`
    lists, the last one is what is read, and what changes in it changes in each, as observed.
    """

    DEFAULT_NUMBER_OF_CONDA_PACKAGES = 0
    DEFAULT_NUMBER_OF_PIP_PACKAGES = 0

    def __init__(self, conda_dependencies_file_path: str | Path | None = None) -> None:
        """Read a file; raises OSError when it cannot be read, UserErrorException for what is wrong in it."""
        if conda_dependencies_file_path is None:
            self._value = default_specification()
        else:
            path = Path(conda_dependencies_file_path)
            self._value = read_specification(path.read_bytes(), str(path))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "CondaDependencies":
        """Return the specification with this content, which is taken as it is."""
        made = cls()
        made._value = value
        return made

    @classmethod
    def from_text(cls, text: str, source: str) -> "CondaDependencies":
        """Return the specification in a YAML text; `source` is what errors call it."""
        return cls.from_dict(read_specification(text.encode(), source))

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Sequence[str] | None = None,
        conda_packages: Sequence[str] | None = None,
        python_version: str = PYTHON_DEFAULT_VERSION,
        pin_sdk_version: bool = True,  # noqa: ARG004 -- Azure ML pins packages of its own, and only where it has a list
    ) -> "CondaDependencies":
        """Return a specification of these packages; without `pip_packages` of `azureml-defaults`."""
        made = CondaDependencies()
        made.set_python_version(python_version)
        options = [f"--find-links {pip_indexurl or _FIND_LINKS}", f"--extra-index-url {_INDEX}"]
        made.set_pip_requirements(options)
        for package in ["azureml-defaults"] if pip_packages is None else pip_packages:
            made.add_pip_package(package)
        for package in conda_packages or ():
            made.add_conda_package(package)
        return made

    # What it says

    @property
    def conda_channels(self) -> Iterator[Any]:
        return iter(self._value.get("channels") or ())

    @property
    def conda_packages(self) -> Iterator[Any]:
        return (item for item in self._dependencies() if not isinstance(item, dict))

    @property
    def pip_packages(self) -> Iterator[Any]:
        return (item for item in self._last_pip() if not is_option(item))

    @property
    def pip_options(self) -> Iterator[Any]:
        return (item for item in self._last_pip() if is_option(item))

    def get_python_version(self) -> str | None:
        """Return the version of the first item that is Python, None where it has none that is recognised."""
        item = next((item for item in self._dependencies() if is_python(item)), None)
        return python_version(item) if item is not None else None

    def get_default_number_of_packages(self) -> tuple[int, int]:
        """Return how many conda and pip packages the default specification has besides options."""
        return 1, 1

    def as_dict(self) -> dict[str, Any]:
        """Return the specification itself, not a copy."""
        return self._value

    def serialize_to_string(self) -> str:
        """Return it as YAML."""
        return specification_text(self._value)

    # Changing it

    def set_python_version(self, version: str) -> None:
        """Ask for a version of Python: in place of the first item that is Python, else at the end."""
        item = "python=" + version
        dependencies = self._dependencies(make=True)
        for index, other in enumerate(dependencies):
            if is_python(other):
                dependencies[index] = item
                return
        dependencies.append(item)

    def add_conda_package(self, conda_package: str) -> None:
        """Add a package at the end, unless an equal item is there; Python takes the place of the Python there is."""
        _require_text(conda_package)
        dependencies = self._dependencies(make=True)
        if conda_package in dependencies:
            return
        if not is_python(conda_package):
            dependencies.append(conda_package)
            return
        version = python_version(conda_package)
        if version is None:
            message = f"no version of Python is recognised in {conda_package}"
            raise UserErrorException(message, hint="write it as python=3.10 or python=3.10.18")
        self.set_python_version(version)

    def remove_conda_package(self, conda_package: str) -> None:
        """Remove the first item that is equal, if there is one."""
        dependencies = self._dependencies()
        if conda_package in dependencies:
            if is_python(conda_package):
                raise UserErrorException("python must not be removed from conda dependencies")
            dependencies.remove(conda_package)

    def add_pip_package(self, pip_package: str) -> None:
        """Add a package at the end, in place of another version of the same."""
        _require_package(pip_package)
        self._remove(self._packages_called(pip_package))
        for items in self._pips(make=True):
            items.append(pip_package)

    def remove_pip_package(self, pip_package: str) -> None:
        """Remove a package, whatever its version."""
        _require_package(pip_package)
        self._remove(self._packages_called(pip_package))

    def set_pip_option(self, pip_option: str) -> None:
        """Set an option of pip, in place of one with the same first word."""
        _require_option(pip_option)
        others = self._options_called(pip_option)
        for items in self._pips(make=True):
            items[:] = [pip_option if it in others else it for it in items]
            if pip_option not in items:
                items.append(pip_option)

    def set_pip_index_url(self, index_url: str) -> None:
        """Set an option such as `--index-url https://example.org/simple`."""
        self.set_pip_option(index_url)

    def remove_pip_option(self, pip_option: str) -> None:
        _require_option(pip_option)
        self._remove(self._options_called(pip_option))

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replace the whole pip part by these lines."""
        lines = list(pip_requirements)
        for items in self._pips(make=True):
            items[:] = lines

    def add_channel(self, channel: str) -> None:
        channels = self._value.setdefault("channels", [])
        if channel not in channels:
            channels.append(channel)

    def remove_channel(self, channel: str) -> None:
        channels = self._value.get("channels") or []
        if channel in channels:
            channels.remove(channel)

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        wanted, other = _cores("tensorflow", core_type)
        self.remove_pip_package(other)
        self.add_pip_package(f"{wanted}=={version or _TENSORFLOW}")

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        wanted, other = _cores("tensorflow", core_type)
        dependencies = self._dependencies(make=True)
        dependencies[:] = [it for it in dependencies if not isinstance(it, str) or pip_name(it) not in (wanted, other)]
        dependencies.append(f"{wanted}={version or _TENSORFLOW}")

    def add_cntk_package(self, core_type: str = "cpu") -> None:
        wanted, other = _cores("cntk", core_type)
        self.remove_pip_package(other)
        self.add_pip_package(f"{wanted}=={_CNTK}")

    # Files

    def save(self, path: str | Path) -> str | Path:
        """Write it to the file `path` and return `path`."""
        if Path(path).is_dir():
            raise UserErrorException(
                "Cannot save a conda environment specification file to a directory. Please specify a fully qualified "
                "path along with the file name to save the file."
            )
        if not Path(path).parent.is_dir():
            message = "Cannot save the conda environment specification file to an invalid path."
            raise UserErrorException(message, hint=f"make the directory {Path(path).parent} first")
        write_whole(Path(path), self.serialize_to_string().encode())
        return path

    def save_to_file(self, base_directory: str | Path, conda_file_path: str | Path | None = None) -> str:
        """Write it to a file below `base_directory`; return the file's path below it."""
        below = Path(conda_file_path) if conda_file_path else _AUTOMATIC
        file = Path(base_directory) / below
        if not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
        write_whole(file, self.serialize_to_string().encode())
        return str(below)

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """Return one line per package with all that is asked of it."""
        return merged(requirements)

    @staticmethod
    def sdk_origin_url() -> str:
        return _FIND_LINKS

    def _dependencies(self, *, make: bool = False) -> list[Any]:
        if make:
            return self._value.setdefault("dependencies", [])  # type: ignore[no-any-return]
        return self._value.get("dependencies", [])  # type: ignore[no-any-return]

    def _pips(self, *, make: bool = False) -> list[list[Any]]:
        found = [it["pip"] for it in self._dependencies(make=make) if isinstance(it, dict) and "pip" in it]
        if not found and make:
            found = [[]]
            self._dependencies(make=True).append({"pip": found[0]})
        return found

    def _packages_called(self, package: str) -> list[Any]:
        return [it for it in self.pip_packages if isinstance(it, str) and pip_name(it) == pip_name(package)]

    def _options_called(self, option: str) -> list[Any]:
        return [it for it in self.pip_options if option_name(it) == option_name(option)]

    def _remove(self, gone: list[Any]) -> None:
        for items in self._pips():
            items[:] = [it for it in items if it not in gone]

    def _last_pip(self) -> list[Any]:
        found = self._pips()
        return found[-1] if found else []


def _require_package(package: str) -> None:
    _require_text(package)
    if is_option(package):
        raise UserErrorException(f"Invalid package name {package}", hint="set an option of pip with set_pip_option")


def _require_text(package: object) -> None:
    if not isinstance(package, str):
        raise UserErrorException(f"Invalid package name {package}", hint="a package is a text, such as 'numpy=2.2'")


def _require_option(option: str) -> None:
    if not is_option(option):
        raise UserErrorException(f"Invalid pip option {option}", hint="write it as '--index-url https://...'")


def _cores(package: str, core_type: str) -> tuple[str, str]:
    """Return the package for a kind of processor, and the one for the other."""
    names = {"cpu": package, "gpu": f"{package}-gpu"}
    if core_type not in names:
        raise UserErrorException(f"Invalid core type {core_type}. Only accept 'cpu' or 'gpu'")
    return names[core_type], names["gpu" if core_type == "cpu" else "cpu"]
