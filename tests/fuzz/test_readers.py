"""No text makes a reader fail, hang or grow: small ones by the hundred."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from readers import READERS
from seeds import SEEDS, hostile


def test_every_reader_has_seeds() -> None:
    assert SEEDS.keys() == READERS.keys()


@pytest.mark.parametrize("name", READERS)
def test_the_seeds_and_every_known_trap(name: str) -> None:
    for data in (*SEEDS[name], *hostile(), b""):
        READERS[name](data)


@pytest.mark.parametrize("name", READERS)
def test_any_bytes_and_any_change_of_a_seed(name: str) -> None:
    seeds = SEEDS[name]

    @settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), _SPLICES), max_size=4))
    @example(seeds[0], [])
    def run(seed: bytes, changes: list[tuple[int, int, bytes]]) -> None:
        for place, gone, come in changes:
            seed = seed[:place] + come + seed[place + gone :]
        READERS[name](seed)

    run()


_SPLICES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"\0", b"\n", b"- ", b": ", b"{{", b"*a", b"&a ", b"'", b'"', b"\\", b"\xff", b"\t", b"!!", b"://u:p@"]
    ),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
