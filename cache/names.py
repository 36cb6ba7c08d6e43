"""The two names of an environment (FACTS §1.1, §1.2), how to take them apart and how to shorten them."""

import re
from hashlib import sha256

CONDA_PREFIX = "azureml_"
IMAGE_PREFIX = "azureml/azureml_"

_IMAGE = re.compile(r"azureml/azureml_[0-9a-f]{32}")


def conda_environment_name(canonical: str) -> str:
    """Return `azureml_` and the first 32 hex digits of the SHA-256 of a canonical conda specification (UTF-8)."""
    return CONDA_PREFIX + sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def image_name(named_text: str) -> str:
    """Return `azureml/azureml_` and the first 32 hex digits of the SHA-256 of the named Dockerfile text (UTF-8)."""
    return IMAGE_PREFIX + sha256(named_text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_image_name(text: str) -> bool:
    """Return whether `text` is a repository name that Azure ML or envkiln gives."""
    return _IMAGE.fullmatch(text) is not None


def short_name(name: str) -> str:
    """Return the first 12 hex digits of either name, as Docker shortens digests."""
    return name.rpartition("azureml_")[2][:12]
