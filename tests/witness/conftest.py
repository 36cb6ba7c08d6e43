"""Azure ML's own clients, of the versions in requirements.txt."""

from pathlib import Path

import pytest
from witness import Witness, install


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.witness)


@pytest.fixture(scope="session")
def azureml_core() -> Witness:
    install()
    return Witness("azureml-core")


@pytest.fixture(scope="session")
def azure_ai_ml() -> Witness:
    install()
    return Witness("azure-ai-ml")
