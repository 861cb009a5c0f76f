"""Open FinOps: cloud bills in databases people own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from finops.notebook import Store

__version__ = "0.1.0"


def open(path: str | PathLike[str] | None = None) -> Store:
    """Open the database for reading, as the command line would from here.

    ``path`` is a configuration file (``.toml``) or a data folder; without it ``./config.toml``
    and the environment say where the data is. Close it, or use it in a ``with`` block.

    Raises:
        ConfigError: the configuration is wrong.
        LocalError: there is no database yet, or it cannot be opened.
    """
    from finops.notebook import open_store

    return open_store(path)
