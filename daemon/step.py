"""`step`: one event in, the next state and the effects out. Pure, total, tested with random event sequences.

The phase of an environment is never moved from one to the next: it is derived anew from the facts each time one of
them changes, so lost, doubled or reordered events cannot leave a wrong one behind.
"""

from dataclasses import replace
from functools import singledispatch

from envkiln.cache.errors import Turn
from envkiln.daemon.draft import Draft
from envkiln.daemon.events import (
    AliasSet,
    Answer,
    BaseResolved,
    BaseUnresolved,
    BuildEnded,
    BuildRequested,
    CancelBuild,
    CancelRequested,
    Effect,
    Ending,
    EngineConnected,
    EngineLost,
    Event,
    ImageNeeded,
    ImagesListed,
    Looked,
    Now,
    Paused,
    Problem,
    Progressed,
    PushEnded,
    PushRequested,
    Reconfigured,
    Registered,
    RegistryAnswered,
    Resumed,
    Tick,
)
from envkiln.daemon.registry_facts import Remote, back_off_s
from envkiln.daemon.registry_step import (
    hear,
    note_needed_image,
    note_push_end,
    note_push_request,
    wake_registry,
)
from envkiln.daemon.state import EVERYTHING, Base, EngineStatus, Failure, Refusal, State, movable_base

ASK_AGAIN_S = 60.0
"""When to ask again for a digest or an alias that could not be had."""

CANCELLED = Problem("the build was cancelled", "change the definition, or ask for a build of it")


def step(state: State, event: Event, now: Now) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after `event` and what has to be done about it."""
    draft = Draft(state, now)
    _note(event, draft)
    return draft.finish()


@singledispatch
def _note(event: Event, draft: Draft) -> None:
    """Put the facts of `event` into `draft`."""
    raise TypeError(f"{event!r} is not an event of {draft!r}")


@_note.register
def _looked(event: Looked, draft: Draft) -> None:
    for id_ in event.gone:
        environment = draft.environments.pop(id_, None)
        draft.paused.discard(id_)
        if environment is not None:
            draft.touched.add(id_)
            draft.let_go(id_, environment)
            draft.claim(id_, (), environment.aliases)
    for sighting in event.changed:
        draft.place(sighting, draft.environments.get(sighting.id))


@_note.register
def _engine_connected(event: EngineConnected, draft: Draft) -> None:
    draft.engine = EngineStatus(connected=True, description=event.description, has_secrets=event.has_secrets)
    # A tag without a digest is asked for before anything is built on it: the registry may be back too.
    for reference, base in draft.bases.items():
        if base.digest is None and not base.asking:
            draft.ask(reference, replace(base, answered=False))
    # What could not be tagged for want of the engine is tagged now.
    for alias, refusal in list(draft.refusals.items()):
        if refusal.problem.turn is Turn.SURROUNDINGS:
            del draft.refusals[alias]
    draft.touched.update(draft.environments)


@_note.register
def _engine_lost(event: EngineLost, draft: Draft) -> None:
    draft.engine = EngineStatus(problem=event.problem, has_secrets=draft.engine.has_secrets)
    draft.touched.update(draft.environments)


@_note.register
def _images_listed(event: ImagesListed, draft: Draft) -> None:
    if draft.engine.connected and not draft.engine.listed:
        draft.engine = replace(draft.engine, listed=True)
        draft.touched.update(draft.environments)
    for name in {**draft.images, **event.images}:
        image = event.images.get(name)
        if draft.seen.get(name, 0.0) > event.asked_at:
            continue  # what we know is newer than this list
        if image is not None:
            draft.have(image, event.asked_at)
        else:
            del draft.images[name]
            draft.seen.pop(name, None)
            draft.forget_remote(name)
            if name in draft.pushes and not draft.pushes[name].pushing:
                del draft.pushes[name]
            draft.why[name] = "its image was removed"
            draft.touched.update(draft.wanted.get(name, ()))


@_note.register
def _base_resolved(event: BaseResolved, draft: Draft) -> None:
    due = draft.now.monotonic + draft.policy.digest_refresh_s
    # Missing and forbidden look alike: a registry that knows the tag no more does not take the digest away.
    digest = event.digest or draft.bases.get(event.reference, Base()).digest
    draft.bases[event.reference] = Base(digest, answered=True, due=due)
    draft.rename(event.reference)


@_note.register
def _base_unresolved(event: BaseUnresolved, draft: Draft) -> None:
    recorded = draft.bases.get(event.reference, Base()).digest or event.recorded
    draft.bases[event.reference] = Base(recorded, answered=True, due=draft.now.monotonic + ASK_AGAIN_S)
    draft.rename(event.reference)


@_note.register
def _build_ended(event: BuildEnded, draft: Draft) -> None:
    name = event.name
    build = draft.builds.pop(name, None)
    draft.progress.pop(name, None)
    draft.touched.update(draft.wanted.get(name, ()))
    if event.image is not None:
        draft.have(event.image, draft.now.monotonic)
        built = event.ending is Ending.BUILT
        draft.why[name] = f"built in {event.seconds:.1f} s" if built else "an image of this content exists"
        if event.pulled is not None:
            draft.remote[name] = Remote(Answer.YES, event.pulled)
            draft.why[name] = f"pulled from {event.pulled.repository}"
    if event.ending is Ending.UNANSWERED:
        hear(event.said or RegistryAnswered(name, Answer.UNKNOWN, problem=event.problem), draft)
        return
    # How a build ends that nobody waited for any more says nothing about the next one.
    if event.problem is not None and name in draft.wanted and not (build is not None and build.cancelling):
        count = (draft.failures[name].count if name in draft.failures else 0) + 1
        passing = event.passing or event.ending is Ending.INTERRUPTED
        retry_at = draft.now.monotonic + back_off_s(count) if passing else None
        draft.failures[name] = Failure(event.problem, count, retry_at)
    if build is not None and build.forced and not build.cancelling and event.ending is not Ending.INTERRUPTED:
        draft.forced.discard(name)


@_note.register
def _alias_set(event: AliasSet, draft: Draft) -> None:
    if draft.setting.get(event.alias) == event.name:
        del draft.setting[event.alias]
    if event.problem is not None:
        draft.refusals[event.alias] = Refusal(event.name, event.problem, draft.now.monotonic + ASK_AGAIN_S)
    else:
        draft.refusals.pop(event.alias, None)
        for image in list(draft.images.values()):
            if image.name == event.name:
                draft.images[image.name] = replace(image, references=image.references | {event.alias})
            elif event.alias in image.references:
                draft.images[image.name] = replace(image, references=image.references - {event.alias})
                draft.retag.add(image.name)
    draft.touched.update(draft.claims.get(event.alias, ()))


@_note.register
def _build_requested(event: BuildRequested, draft: Draft) -> None:
    environment = draft.environments.get(event.id)
    if environment is not None and environment.wanted is not None and environment.sighting.settings.build:
        draft.forced.add(environment.wanted)
        draft.failures.pop(environment.wanted, None)
        draft.forget_remote(environment.wanted)
        draft.why[environment.wanted] = "a build was asked for"
        draft.touched.update(draft.wanted.get(environment.wanted, ()))


@_note.register
def _cancel_requested(event: CancelRequested, draft: Draft) -> None:
    environment = draft.environments.get(event.id)
    name = environment.wanted if environment else None
    if name is None or not (name in draft.builds or name in draft.queue):
        return
    draft.forced.discard(name)
    build = draft.builds.get(name)
    if build is not None and not build.cancelling:
        draft.builds[name] = replace(build, cancelling=True)
        draft.effects.append(CancelBuild(name))
    if name not in draft.images:
        # Without it the name would be queued again at once.
        draft.failures[name] = Failure(CANCELLED, 0, None)
    draft.why[name] = CANCELLED.message
    draft.touched.update(draft.wanted[name])


@_note.register
def _paused(event: Paused, draft: Draft) -> None:
    if event.id is None or event.id in draft.environments:
        draft.paused.add(EVERYTHING if event.id is None else event.id)
        draft.touched.update([event.id] if event.id else draft.environments)


@_note.register
def _resumed(event: Resumed, draft: Draft) -> None:
    if event.id is None:
        draft.paused.clear()
    else:
        draft.paused.discard(event.id)
    draft.touched.update([event.id] if event.id else draft.environments)


@_note.register
def _progressed(event: Progressed, draft: Draft) -> None:
    if event.name in draft.builds:
        draft.progress[event.name] = event.progress


@_note.register
def _reconfigured(event: Reconfigured, draft: Draft) -> None:
    # A digest that is already known keeps the time of its next question: it is asked for anew often enough.
    draft.policy = replace(
        draft.policy, concurrent_builds=event.concurrent_builds, digest_refresh_s=event.digest_refresh_s
    )


@_note.register
def _registered(event: Registered, draft: Draft) -> None:
    by_image: dict[str, tuple[str, ...]] = {}
    for tag, name in sorted(event.tags.items()):
        by_image[name] = (*by_image.get(name, ()), tag)
    # What is registered may have to be pushed.
    for name in by_image.keys() - draft.registered.keys():
        draft.touched.update(draft.wanted.get(name, ()))
    draft.registered = by_image
    draft.retag.update(by_image)


@_note.register
def _tick(event: Tick, draft: Draft) -> None:  # noqa: ARG001 -- a tick says nothing but the time
    now = draft.now.monotonic
    for name, failure in draft.failures.items():
        if failure.retry_at is not None and failure.retry_at <= now:
            draft.touched.update(draft.wanted.get(name, ()))
    for alias, refusal in list(draft.refusals.items()):
        if refusal.retry_at <= now:
            del draft.refusals[alias]
            draft.retag.add(refusal.name)
            draft.touched.update(draft.claims.get(alias, ()))
    wake_registry(draft)
    due = [reference for reference, base in draft.bases.items() if base.due <= now and not base.asking]
    if not due:
        return
    bases = (movable_base(environment.sighting) for environment in draft.environments.values())
    used = {str(base) for base in bases if base is not None}
    for reference in due:
        base = draft.bases[reference]
        if reference in used:
            draft.ask(reference, base)
        elif base.digest is None:
            del draft.bases[reference]
        else:
            # Nobody uses it, or not yet, right after the start: the digest keeps names what they were until somebody
            # does, and then it is asked for before anything is built.
            draft.bases[reference] = replace(base, answered=False, due=now + draft.policy.digest_refresh_s)


_note.register(RegistryAnswered, hear)
_note.register(ImageNeeded, note_needed_image)
_note.register(PushRequested, note_push_request)
_note.register(PushEnded, note_push_end)
