"""Where models are kept, and what every command about them is told and says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvat_bridge.secrecy import err as err  # noqa: PLC0414 for the commands
from cvat_bridge.secrecy import out as out  # noqa: PLC0414

if TYPE_CHECKING:
    from cvat_bridge.config import Config
    from cvat_bridge.home import Home


if TYPE_CHECKING:
    from cvat_bridge.cvat.gateway import Gateway
    from cvat_bridge.models.catalogue import ModelCatalogue

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The YAML file of `init`; cvat-bridge.yaml if it is there"),
]
HomePath = Annotated[
    Path | None, typer.Option("--home", help="Folder of models, where there is no configuration.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
Model = Annotated[str, typer.Argument(help="Id, as `models list` shows it.")]
Project = Annotated[
    int | None, typer.Option("--project", help="Show the labels of this project of CVAT.")
]
_DEFAULT, _HOME = Path("cvat-bridge.yaml"), Path(".cvat-bridge")


@dataclass(frozen=True)
class ModelWorkspace:
    """Where the models are: the configuration, and what it leads to."""

    config: Config
    home: Home
    store: Path

    @property
    def catalogue(self) -> ModelCatalogue:
        """The models, in the registry and in the store."""
        from cvat_bridge.models.catalogue import ModelCatalogue
        from cvat_bridge.models.registries import registry_of

        return ModelCatalogue(registry_of(self.config, self.home), self.home, self.store)

    def own_interactor(self, project: int | None) -> Path | None:
        """Return the interactor that serves a project of its own, None where it has none."""
        from cvat_bridge.masks.interactors import own_interactor
        from cvat_bridge.models.serving import project_key

        return None if project is None else own_interactor(self.store, project_key(project))

    def is_of_project(self, model: str) -> bool:
        """Return whether a name is that of the project's own model, which rounds and fits make."""
        from cvat_bridge.models.serving import project_key

        project = self.config.cvat.project
        return project is not None and model in (
            self.config.function_host.function_id,
            project_key(project),
        )

    @contextmanager
    def cvat(self, project: int | None) -> Iterator[Gateway | None]:
        """Sign in to CVAT where a project is named."""
        from cvat_bridge.config import load_secrets
        from cvat_bridge.cvat.connecting import connected

        with connected(self.config, load_secrets()) if project else nullcontext() as gateway:
            yield gateway


def open_workspace(config: Path | None, home: Path | None) -> ModelWorkspace:
    """Read the configuration where there is one; --home goes before what it says."""
    from cvat_bridge.config import Config, FunctionHostSection
    from cvat_bridge.home import Home
    from cvat_bridge.projects import load_project

    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    loaded = Config(home=_HOME.resolve()) if config is None else load_project(config, needed=False)
    if home is not None:
        host = loaded.function_host.model_dump() | {"store": None}
        loaded = loaded.model_copy(
            update={"home": home.resolve(), "function_host": FunctionHostSection(**host)}
        )
    found = Home.of(loaded)
    return ModelWorkspace(loaded, found, loaded.function_host.store or found.functions)


def few(names: Sequence[str]) -> str:
    """Return the first names, and how many there are besides."""
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def say(text: str) -> None:
    """Print a line as it stands."""
    out.print(text, markup=False, highlight=False)
