"""What a client asked of the repository, as it is handed to every worker."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from service.repository.policy import Policy


class Wish(BaseModel):
    """The last thing that was asked for a model.

    Attributes:
        files: a folder with its versions, which a client sent; by default those of the models folder.
        policy: which versions, by default as the operator said.
        again: load what is loaded already, or was refused.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    action: Literal["load", "unload"]
    files: Path | None = None
    policy: Policy | None = None
    again: bool = True


class Wishes(BaseModel):
    """The last wish for each model that there ever was one for.

    Attributes:
        generation: grows by one with each wish.
        given: by model name; which generation, and what.
    """

    generation: int = 0
    given: dict[str, tuple[int, Wish]] = {}

    def with_one(self, wish: Wish) -> Wishes:
        """These and one more."""
        generation = self.generation + 1
        return Wishes(generation=generation, given=self.given | {wish.name: (generation, wish)})

    def after(self, generation: int) -> list[Wish]:
        """Those newer than that, in order."""
        newer = sorted((pair for pair in self.given.values() if pair[0] > generation), key=lambda p: p[0])
        return [wish for _, wish in newer]

    def of(self, name: str) -> Wish:
        """What holds for a model; when nobody asked, what is on disk is loaded."""
        _, wish = self.given.get(name, (0, Wish(name=name, action="load")))
        return wish.model_copy(update={"again": False})
