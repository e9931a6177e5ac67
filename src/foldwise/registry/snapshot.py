"""What the registry holds, read in two searches and then reasoned about without asking again."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal, Self

from foldwise.errors import SettingsError, StoreError
from foldwise.registry.audit import (
    CHAMPION,
    PREVIOUS,
    RECORDED,
    Check,
    Decision,
    Holders,
    Unrecorded,
    decisions_in,
    history,
    in_order,
    unrecorded,
)
from foldwise.settings import load_settings
from foldwise.store.database import REGISTER, registering
from foldwise.store.faults import Tolerating, store_faults
from foldwise.store.open import Store, all_pages

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

_USED = "holdout"
_ABOUT = """\
Models that foldwise has evaluated and registered. **champion**: the version in use; \
**challenger**: the newest one; **previous_champion**: where `foldwise rollback` goes back to.

Change aliases by `foldwise promote` and `foldwise rollback`, which check and record: what is \
changed on these pages shows in `foldwise history` as set outside foldwise.

Tags are its records, to be left alone. `holdout.<data>.<model>`: a model was scored on a holdout, \
both by their digests. `audit.<when>`: a decision, who made it, by which checks and why. \
`foldwise history` tells them all."""


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version as the registry shows it."""

    name: str
    number: int
    run_id: str
    model_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    created: int = 0
    """Milliseconds since 1970."""

    @property
    def content(self) -> str:
        """Digest of the model's numbers; empty if foldwise didn't register it."""
        return self.tags.get("content_digest", "")


def repeats(content: str, earlier: Iterable[Version]) -> str:
    """Say which of these versions has the model of this content first; nothing if none has."""
    for version in earlier:
        if content and version.content == content:
            return f"the same model as version {version.number}"
    return ""


def model_name(data_name: str) -> str:
    """Name of the registered model: ``mnist-classifier`` for the data ``mnist``."""
    return f"{data_name}-classifier"


def named(root: Path, name: str) -> str:
    """What a command typed in a project's folder must add to mean this model, if that isn't its."""
    with suppress(SettingsError):
        if name == model_name(load_settings(root / "params.yaml").prepare.name):
            return ""
    return f" --model {quote(name)}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One registered model at one moment, there or not: its versions, oldest first, and aliases.

    ``tags`` are those of all registered models, by name: a holdout's uses span them. ``register``
    is what is to be typed to have a version, in the project's folder ``root``.
    """

    name: str
    versions: tuple[Version, ...]
    aliases: Mapping[str, int]
    tags: Mapping[str, Mapping[str, str]]
    register: str = REGISTER
    root: Path = Path()

    @classmethod
    def read(cls, store: Store, name: str) -> Self:
        """Ask for the versions of a model, and for all models."""
        with store_faults(f"listing the versions of {name}"):
            mark = '"' if "'" in name else "'"
            query = f"name = {mark}{name}{mark}"
            found = all_pages(store.client.search_model_versions, query)
        versions = sorted(map(to_version, found), key=lambda version: version.number)
        register = registering(store.root)
        return cls(name, tuple(versions), {}, {}, register, store.root).renewed(store)

    def renewed(self, store: Store) -> Self:
        """The same versions, with all aliases and tags of models read anew: one search."""
        with store_faults(f"reading the aliases of {self.name}"):
            models: list[RegisteredModel] = all_pages(store.client.search_registered_models)
        held = [model.aliases for model in models if model.name == self.name]
        aliases = {alias: int(number) for each in held for alias, number in each.items()}
        # A search for versions leaves their aliases out.
        versions = tuple(replace(each, aliases=_of(aliases, each.number)) for each in self.versions)
        tags = {model.name: dict(model.tags) for model in models}
        return replace(self, versions=versions, aliases=aliases, tags=tags)

    @property
    def champion(self) -> Version | None:
        """The version in use."""
        return self.holder(CHAMPION)

    def holder(self, alias: str) -> Version | None:
        """The version that bears an alias."""
        number = self.aliases.get(alias)
        return next((each for each in self.versions if each.number == number), None)

    def find(self, which: str) -> Version:
        """Look a version up by its alias or number, of which there must be one."""
        for version in self.versions:
            if which == str(version.number) or version.number == self.aliases.get(which):
                return version
        look = f"see `foldwise history{named(self.root, self.name)}`, or " if self.versions else ""
        raise StoreError(
            f"a version or alias of {self.name} must exist, got '{which:.40}':"
            f" {look}register one with {self.register}"
        )

    def before(self, run_id: str) -> Version | None:
        """The last version before those of a pipeline run, if it says what its data were."""
        own = [each.number for each in self.versions if each.run_id == run_id]
        earlier = [
            each
            for each in self.versions
            if (not own or each.number < min(own))
            and {"development_digest", "holdout_digest"} <= each.tags.keys()
        ]
        return earlier[-1] if earlier else None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions, oldest first; short ones where the version's is gone."""
        return in_order(decisions_in(self.tags.get(self.name, {})) | self._whole_decisions)

    @property
    def unkept(self) -> tuple[Decision, ...]:
        """Decisions that the model doesn't keep in short as they are: a kill came between."""
        short, whole = decisions_in(self.tags.get(self.name, {})), self._whole_decisions.values()
        return tuple(each for each in whole if short.get(each.id) != each.shortened())

    @property
    def is_settled(self) -> bool:
        """Whether no killed process has left anything to be done."""
        return not self.unkept and all(each.state != "pending" for each in self.decisions)

    @property
    def _whole_decisions(self) -> dict[str, Decision]:
        return {id_: of for each in self.versions for id_, of in decisions_in(each.tags).items()}

    @property
    def held(self) -> Holders:
        """Who is champion, and who was."""
        return {alias: self.aliases.get(alias) for alias in (CHAMPION, PREVIOUS)}

    @property
    def history(self) -> tuple[Decision | Unrecorded, ...]:
        """All decisions, oldest first, with the unrecorded changes between them."""
        return tuple(history(self.decisions, self.held))

    @property
    def unrecorded(self) -> tuple[Unrecorded, ...]:
        """Which aliases are not where a recorded decision put them."""
        return unrecorded(self.decisions, self.held)

    def set_by_record(self, alias: str, otherwise: Literal["warning", "fail"]) -> Check:
        """Whether a recorded decision put an alias where it is."""
        for change in self.unrecorded:
            if change.alias == alias:
                return Check(alias, change.told(), RECORDED, otherwise)
        return Check(alias, RECORDED, RECORDED, "pass")

    def spent(self, digest: str, content: str, champion: str = "") -> int:
        """Number k of the comparison of a content with a champion's on a holdout.

        Each pair that was judged counts, and each model that was scored but not judged, except
        who was only met as champion: no hypothesis is tested with it. So the j-th pair's number is
        at least j, in whatever order pairs and champions come.
        """
        looks = self.looks(digest) | {(content, champion)}
        pairs = {look for look in looks if look[1]}
        judged = {one for one, _ in pairs}
        champions = {other for _, other in pairs} - self._promoted_over_another(digest)
        return len(pairs) + len({one for one, _ in looks} - judged - champions)

    def looks(self, digest: str) -> set[tuple[str, str]]:
        """Contents scored on a holdout, with the champion's each met or "", over all names."""
        prefix = f"{_USED}.{digest}."
        tags = (tag for of_model in self.tags.values() for tag in of_model)
        found = (tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix))
        return {(content, met) for content, _, met in (each.partition(".") for each in found)}

    def _promoted_over_another(self, digest: str) -> set[str]:
        """Contents judged here by record: the notes of 0.1 don't tell whom a model met."""
        numbers = {each.version for each in self.decisions if each.champion is not None}
        return {
            each.content
            for each in self.versions
            if each.number in numbers and each.tags.get("holdout_digest") == digest
        }


def note_holdout_use(
    store: Store, snapshot: Snapshot, *, holdout: str, content: str, run_id: str, met: str = ""
) -> Snapshot:
    """Note that a content is scored on a holdout (digests), before its score is shown to anybody.

    ``met`` is the content of the champion that it is judged against there.

    The note is a tag of the registered model, which is made if need be: it outlives versions and
    runs. The same is noted once, whatever the number of calls, runs and names. The snapshot given
    back has all looks there are now, another machine's among them.
    """
    if (content, met) in snapshot.looks(holdout):
        return snapshot
    note = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "run": run_id}
    with store_faults("counting the holdout's use"):
        ensure_registered_model(store, snapshot)
        tag = f"{_USED}.{holdout}.{content}" + (f".{met}" if met else "")
        store.client.set_registered_model_tag(snapshot.name, tag, json.dumps(note))
    return snapshot.renewed(store)


def ensure_registered_model(store: Store, snapshot: Snapshot) -> None:
    """Create the registered model unless it is there; two processes may try at once.

    Its description says whom its aliases mean, and what its tags are, whose names can't.
    """
    if snapshot.name not in snapshot.tags:
        with Tolerating("RESOURCE_ALREADY_EXISTS"):
            store.client.create_registered_model(snapshot.name, description=_ABOUT)


def to_version(found: "ModelVersion") -> Version:
    """MLflow's version as ours."""
    return Version(
        name=found.name,
        number=int(found.version),
        run_id=found.run_id or "",
        model_id=(found.source or "").removeprefix("models:/"),
        aliases=tuple(found.aliases),
        tags=dict(found.tags),
        created=found.creation_timestamp or 0,
    )


def _of(aliases: Mapping[str, int], number: int) -> tuple[str, ...]:
    return tuple(alias for alias, held in aliases.items() if held == number)
