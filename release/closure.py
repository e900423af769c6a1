"""Which distributions an installation consists of: those named, and all that they need, as they are installed here.

What was tested is what is handed over, so versions come from the running environment and from nowhere else.
"""

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name


class NotInstalled(Exception):
    """Something that is needed is not in this environment."""


def closure(names: Iterable[str]) -> dict[NormalizedName, str]:
    """Versions by name of the named distributions and of all that they need, extras as in `pkg[extra]`.

    Raises:
        NotInstalled: one of them is missing here; says which, and what wants it.
    """
    versions: dict[NormalizedName, str] = {}
    done: set[tuple[NormalizedName, str]] = set()
    waiting = [(Requirement(name), "the bundle") for name in names]
    while waiting:
        requirement, wanted_by = waiting.pop()
        found = _installed(requirement.name, wanted_by)
        name = canonicalize_name(found.name)
        versions[name] = found.version
        for extra in {"", *requirement.extras}:
            if (name, extra) not in done:
                done.add((name, extra))
                waiting += [(needed, name) for needed in needs(found.requires or (), extra)]
    return dict(sorted(versions.items()))


def needs(requires: Iterable[str], extra: str = "") -> list[Requirement]:
    """Those of a distribution's requirements that hold on this platform: for an extra, or ("") without any."""
    parsed = [Requirement(text) for text in requires]
    return [one for one in parsed if one.marker is None or one.marker.evaluate({"extra": extra})]


def _installed(name: str, wanted_by: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise NotInstalled(f"{wanted_by} needs {name}, which is not installed in this environment.") from error
