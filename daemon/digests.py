"""Which digest a base image's tag has: asked of the registry, and kept when nobody answers."""

import asyncio
from collections.abc import Awaitable, Callable

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import BaseResolved, BaseUnresolved, Problem

ANSWER_S = 30.0


async def resolve_base(
    engine: Engine, reference: str, recorded: Callable[[str], Awaitable[str | None]]
) -> BaseResolved | BaseUnresolved:
    """Return the digest of `reference`, or why it is not known now.

    The registry is asked through the engine, so that its log-ins, mirrors and proxies count. A registry that says no
    leaves an image that exists only in the engine, which has no digest. Without an answer, what is `recorded` counts,
    then the digest with which the engine pulled it: names stay what they were while the network is away.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            return BaseResolved(reference, await asyncio.to_thread(engine.resolve_digest, reference))
    except TimeoutError:
        problem = Problem(f"no answer about {reference} in {ANSWER_S:g} s")
    except EnvkilnError as error:
        problem = Problem.of(error)
    known = await recorded(reference)
    if known is None:
        try:
            known = await asyncio.to_thread(engine.local_digest, reference)
        except EnvkilnError:
            known = None
    return BaseUnresolved(reference, problem, known)
