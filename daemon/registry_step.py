"""What events about registries change, whom to ask, and what to push: the part of `step` for registries. Pure."""

from dataclasses import replace
from typing import TYPE_CHECKING

from envkiln.cache.errors import Turn
from envkiln.daemon.events import (
    Answer,
    AskRegistry,
    ImageNeeded,
    PushEnded,
    PushImage,
    PushRequested,
    RegistryAnswered,
)
from envkiln.daemon.registry_facts import (
    ASK_WHO_BUILDS_S,
    FIRST_BACK_OFF_S,
    Push,
    Remote,
    asks_registries,
    back_off_s,
    must_push,
)

if TYPE_CHECKING:
    from envkiln.daemon.draft import Draft
    from envkiln.daemon.state import Environment


_RECALL_S = 1.0


def hear(said: RegistryAnswered, draft: "Draft") -> None:
    """The registries have answered."""
    name = said.name
    if name not in draft.wanted:
        draft.forget_remote(name)
        return
    before = draft.remote.get(name, Remote())
    unknown = said.answer is Answer.UNKNOWN
    count = before.count + 1 if unknown else 0
    waits = max(back_off_s(count), said.retry_after_s or 0.0) if unknown else ASK_WHO_BUILDS_S
    due = draft.now.monotonic + waits
    draft.remote[name] = Remote(said.answer, said.image, said.problem, count, due=due)
    draft.touched.update(draft.wanted[name])
    if unknown or said.answer is Answer.PENDING:
        draft.silent.add(name)
        draft.judge_question(name)
    else:
        draft.silent.discard(name)
    if unknown:
        return
    # They answer again: nobody has to wait for the end of a long back-off. Looking at all of them is dear, though.
    if draft.now.monotonic - draft.recalled < _RECALL_S:
        return
    draft.recalled = draft.now.monotonic
    soon = draft.now.monotonic + FIRST_BACK_OFF_S
    for other in draft.silent:
        if draft.remote[other].due > soon and _may_have_passed(draft.remote[other]):
            draft.remote[other] = replace(draft.remote[other], due=soon)


def note_needed_image(event: ImageNeeded, draft: "Draft") -> None:
    environment = draft.environments.get(event.id)
    name = environment.wanted if environment is not None else None
    if environment is not None and name is not None and environment.sighting.settings.build:
        if name not in draft.images:
            draft.needed.add(name)
        draft.touched.update(draft.wanted[name])


def note_push_request(event: PushRequested, draft: "Draft") -> None:
    environment = draft.environments.get(event.id)
    name = environment.wanted if environment is not None else None
    push = draft.pushes.get(name or "")
    if name is not None and name in draft.images and (push is None or not push.pushing):
        draft.pushes[name] = Push(draft.images[name].id, asked=True)
        draft.touched.update(draft.wanted[name])


def note_push_end(event: PushEnded, draft: "Draft") -> None:
    name = event.name
    push = draft.pushes.pop(name, None)
    if name not in draft.wanted or name not in draft.images:
        return
    asked = push is not None and push.asked
    if event.image is not None:
        draft.pushes[name] = Push(event.image_id, done=True, asked=asked)
        draft.remote[name] = Remote(Answer.YES, event.image)
        draft.silent.discard(name)
    else:
        count = (push.count if push is not None else 0) + 1
        retry_at = draft.now.monotonic + max(back_off_s(count), event.retry_after_s or 0.0)
        draft.pushes[name] = Push(event.image_id, problem=event.problem, count=count, retry_at=retry_at, asked=asked)
    draft.touched.update(draft.wanted[name])


def wake_registry(draft: "Draft") -> None:
    """Time has passed: ask and push again what is due."""
    now = draft.now.monotonic
    # Only those whose time is kept here are left alone: the others are asked, as soon as somebody wants to know.
    for name in [name for name in draft.silent if draft.remote[name].due <= now]:
        draft.silent.discard(name)
        draft.touched.update(draft.wanted.get(name, ()))
    for name, push in list(draft.pushes.items()):
        if push.problem is not None and push.retry_at <= now:
            draft.pushes[name] = replace(push, problem=None)
            draft.touched.update(draft.wanted.get(name, ()))


def consult(draft: "Draft", name: str) -> None:
    """Ask the registries for an image that the engine has not, unless they are being asked or left alone."""
    if not draft.policy.registries or not draft.engine.listed or name in draft.forced or name in draft.builds:
        return
    remote = draft.remote.get(name, Remote())
    if remote.asking or name in draft.silent or remote.answer in (Answer.YES, Answer.NO):
        return
    sightings = [draft.environments[id_].sighting for id_ in sorted(draft.wanted[name])]
    asking = next((sighting for sighting in sightings if asks_registries(sighting)), None)
    if asking is not None:
        draft.remote[name] = replace(remote, asking=True)
        draft.effects.append(AskRegistry(name, asking.settings.platform))


def consider_push(draft: "Draft", environment: "Environment", name: str) -> None:
    """Push an image that is ready, where the settings or somebody want it in the registry and it is not."""
    if not draft.policy.registries:
        return
    image_id = draft.images[name].id
    push = draft.pushes.get(name)
    asked = push is not None and push.asked
    if not asked and not must_push(environment.sighting, name, draft.registered):
        return
    if push is not None and (
        push.pushing or (push.image_id == image_id and (push.done or push.retry_at > draft.now.monotonic))
    ):
        return
    count = push.count if push is not None and push.image_id == image_id else 0
    draft.pushes[name] = Push(image_id, pushing=True, count=count, asked=asked)
    draft.effects.append(PushImage(name, image_id, environment.sighting.settings.platform))


def _may_have_passed(remote: Remote) -> bool:
    """Return whether what kept a registry from answering may have gone with that of another name."""
    return remote.problem is not None and remote.problem.turn is Turn.SURROUNDINGS
