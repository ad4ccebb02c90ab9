"""The repository as the doors see it: what answers, and how clients change it, in one worker or in all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from service.errors import LoadFailed, UnknownModel
from service.model import Host, ServedModel
from service.repository.control import Control
from service.repository.index import Index, Listed, Version
from service.repository.inventory import Inventory
from service.repository.layout import look
from service.repository.overrides import Overrides
from service.repository.policy import Policy
from service.repository.wish import Wish, Wishes
from service.worker import Worker

LOG = logging.getLogger("foldserve")


class Repository:
    """The models; everything that can be served is when this is made.

    Args:
        default: the model that answers when none is named; by default the only one.
        policy: which versions are served.
        worker: which process of the server this is.

    Raises:
        UnknownModel: the default model named is not in the folder.
        RuntimeMissing: onnxruntime is not installed.
    """

    def __init__(
        self,
        folder: Path,
        host: Host | None = None,
        default: str | None = None,
        *,
        policy: Policy | None = None,
        worker: Worker | None = None,
    ) -> None:
        self.folder = folder
        self.host = host or Host()
        worker = worker or Worker()
        meeting = worker.folder / "repository" if worker.folder else None
        self._inventory = Inventory(folder, self.host, policy or Policy(), default)
        self._control = Control(meeting, worker.number, worker.count) if meeting else None
        self._overrides = Overrides(meeting / "overrides" if meeting else None)
        self._asking = asyncio.Lock()
        self._wishes = self._control.wishes() if self._control else Wishes()
        # Before anything is loaded, which may take long.
        if default is not None and default not in (known := {*self._on_disk(), *self._wishes.given}):
            raise UnknownModel(default, sorted(known))
        for _, wish in self._wishes.given.values():
            self._inventory.expect(wish)
        self.step(settled=True)
        if self._control:
            self._control.answer(self._wishes.generation)

    @property
    def index(self) -> Index:
        """All of it at this moment, which never changes: take it once and look at that."""
        return self._inventory.index

    @property
    def models(self) -> Mapping[str, Mapping[int, Version]]:
        """What is served and what is not, at this moment."""
        return self.index.models

    @property
    def names(self) -> list[str]:
        """All model names, in order."""
        return self.index.names

    @property
    def default(self) -> str | None:
        """The model that answers POST /predict, if there is one."""
        return self.index.default

    @property
    def ready(self) -> bool:
        """Whether some model answers: one bad file must not take the others out of the load balancer."""
        return any(latest is not None for latest in self.index.latest.values())

    @property
    def shared(self) -> bool:
        """Whether other workers must learn what this one is asked."""
        return self._control is not None

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """The model version that answers; without a version the highest that is served.

        Raises:
            NoDefaultModel, UnknownModel, UnknownVersion, ModelUnavailable: as they say.
        """
        return self.index.find(name, version)

    def latest(self, name: str) -> int | None:
        """The version that answers when none is named."""
        served = self.index.latest.get(name)
        return served.version if served else None

    def served(self, name: str) -> list[ServedModel]:
        """The versions of a model that answer, in order; none when the model has just gone."""
        versions = sorted(self.index.models.get(name, {}).items())
        return [model for _, model in versions if isinstance(model, ServedModel)]

    def listing(self) -> list[Listed]:
        """Every version, served or not and why, in Triton's words."""
        return self.index.listing()

    async def load(
        self, name: str, files: Mapping[str, bytes] | None = None, config: str | None = None
    ) -> None:
        """Load or reload a model in every worker, and return when it is live.

        Args:
            files: its only versions until the next load, by paths such as `1/model.onnx`.
            config: Triton's model configuration, of which the version policy is honoured.

        Raises:
            UnknownModel: it is neither on disk nor in the files.
            LoadFailed: it could not be loaded; what was served before still is.
            Unconfirmed: some worker did not answer in time.
        """
        try:
            policy = Policy.of_config(config) if config is not None else None
        except ValueError as error:
            raise LoadFailed(name, f"the parameter config cannot be read: {error}") from error
        if not files and name not in await asyncio.to_thread(self._on_disk):
            raise UnknownModel(name, self.names)
        source = await asyncio.to_thread(self._overrides.write, name, files) if files else None
        wish = Wish(name=name, action="load", files=source, policy=policy)
        try:
            await self._ask(wish)
        except LoadFailed:
            self._overrides.remove(source)
            raise

    async def unload(self, name: str) -> None:
        """Unload a model in every worker; it stays so until it is loaded by request.

        Raises:
            UnknownModel: there is none of that name.
            Unconfirmed: some worker did not answer in time.
        """
        if name not in self.models:
            raise UnknownModel(name, self.names)
        await self._ask(Wish(name=name, action="unload"))

    def step(self, *, settled: bool = False) -> None:
        """Look at the folder once, as `Inventory.step` does."""
        self._inventory.step(settled=settled)

    def obey(self) -> None:
        """Fulfil what other workers were asked since the last time."""
        news = self._control.news() if self._control else None
        if news is None:
            return
        generation, wishes = news
        error = None
        for wish in wishes:
            try:
                self._inventory.apply(wish)
            except LoadFailed as failure:
                error = failure.reason
            except Exception:
                LOG.exception("model %s: the wish to %s it failed", wish.name, wish.action)
                error = "internal error: the server's log says more"
        if self._control:
            self._control.answer(generation, error)

    def close(self) -> None:
        """Remove the files that clients sent."""
        self._overrides.close()

    async def _ask(self, wish: Wish) -> None:
        # One thread waits at a time, however many clients ask.
        async with self._asking:
            before = await asyncio.to_thread(self._fulfil, wish)
            if before.files != wish.files:
                self._overrides.remove(before.files)

    def _fulfil(self, wish: Wish) -> Wish:
        """Have a wish fulfilled, here or by all; what held before."""
        if self._control:
            return self._control.ask(wish)
        before = self._wishes.of(wish.name)
        self._inventory.apply(wish)
        self._wishes = self._wishes.with_one(wish)
        return before

    def _on_disk(self) -> Collection[str]:
        """The names that the folder holds now; those known, when it is lost."""
        try:
            return look(self.folder)
        except OSError:
            return self.models
