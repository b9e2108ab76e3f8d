"""The command `kgan push`."""

import dataclasses

from tyro.conf import Positional

from kgan.commands import Command, Model


@dataclasses.dataclass(frozen=True)
class Push:
    """Put a trained model on the Hugging Face hub, or with --space a page that runs it in the browser."""

    run: Positional[Model]
    """A run folder whose training has ended, or a shipped model such as vangogh."""
    to: Positional[str]
    """hf://OWNER/NAME. The repository is made if it does not exist."""
    private: bool = False
    """Make a private repository."""
    revision: str | None = None
    """The branch, which is made if it does not exist. Default: main."""
    space: bool = False
    """Write a static Space instead: the page of `kgan web` with this model."""
    licence: str | None = None
    """The licence of the model as the hub spells it, such as apache-2.0 or cc-by-4.0."""
    source: str | None = None
    """Where the training pictures come from, for the card."""
    without_samples: bool = False
    """Upload no pictures. By default, the card shows the newest grid of the training."""
    dry_run: bool = False
    """List the files and their sizes, and upload nothing."""
    trust: bool = False
    """Push a model that is a program of somebody else (docs/safe.md)."""


COMMAND = Command("push", Push, "kgan.hub.push:push", place=55)
