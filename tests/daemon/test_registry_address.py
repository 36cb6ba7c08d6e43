"""Where a registry is, and what an image is called there."""

import pytest

from envkiln.daemon.registry_address import AddressError, RegistryAddress

NAME = "azureml/azureml_" + "0" * 32


@pytest.mark.parametrize(
    ("text", "url", "repository"),
    [
        ("team.azurecr.io", "https://team.azurecr.io", f"team.azurecr.io/{NAME}"),
        ("team.azurecr.io/ml/images", "https://team.azurecr.io", f"team.azurecr.io/ml/images/{NAME}"),
        ("localhost", "http://localhost", f"localhost/{NAME}"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000", f"127.0.0.1:5000/{NAME}"),
        ("127.1.2.3:5000", "http://127.1.2.3:5000", f"127.1.2.3:5000/{NAME}"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000", f"10.0.0.1:5000/{NAME}"),
        ("registry:5000", "https://registry:5000", f"registry:5000/{NAME}"),
        ("docker.io/ada", "https://registry-1.docker.io", f"docker.io/ada/{NAME}"),
    ],
)
def test_only_this_machine_is_spoken_to_without_tls(text: str, url: str, repository: str) -> None:
    address = RegistryAddress.parse(text)
    assert (address.url, address.repository(NAME), str(address)) == (url, repository, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://team.azurecr.io",
        "team",
        "Team.azurecr.io",
        "team.azurecr.io/",
        "a.io//b",
        "ada:secret@a.io",
        "a.io/B",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        RegistryAddress.parse(text)


def test_a_name_that_begins_like_this_machine_is_another() -> None:
    assert RegistryAddress.parse("127.0.0.1.example.com").url.startswith("https://")
    assert RegistryAddress.parse("localhost.example.com").url.startswith("https://")
