"""Where sources come from: those that share photographs or a generator count as one."""

from dataclasses import replace

from hf_deepfake.config import DataConfig
from hf_deepfake.data.sources import Source
from hf_deepfake.errors import InputError

ORIGIN = "origin"
"""Column of a source's tables that names the origin of each image, and column that every image has once loaded."""


def name_origins(sources: list[Source], config: DataConfig) -> list[Source]:
    """Give every image an origin: what the option says of its source, else its table, else the source's own name.

    Args:
        sources: of distinct names.
        config: with its option `origins`, such as "celeba256=celeba".

    Returns:
        The sources, each with the column origin, without gaps.

    Raises:
        InputError: a text has another form, names no source, or contradicts another.
    """
    named: dict[str, str] = {}
    for text in config.origins:
        source, sign, origin = text.partition("=")
        if not (source and sign and origin):
            raise InputError(f"origins has {text!r}; write SOURCE=ORIGIN, such as celeba256=celeba")
        if named.setdefault(source, origin) != origin:
            raise InputError(f"origins calls {source} both {named[source]} and {origin}; leave one of them")
    unknown = named.keys() - {source.name for source in sources}
    if unknown and not config.several_roles:
        raise InputError(
            f"origins names {', '.join(sorted(unknown))}, which is no source here; sources are "
            f"{', '.join(source.name for source in sources)}"
        )
    return [
        replace(source, columns=source.columns | {ORIGIN: _origins(source, named.get(source.name))})
        for source in sources
    ]


def _origins(source: Source, named: str | None) -> list[str | None]:
    """The origin of each image."""
    size = len(source.labels)
    if named is not None:
        return [named] * size
    return [own or source.name for own in source.columns.get(ORIGIN, [None] * size)]
