"""Names of registry entries in a study, validated when the study is read."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from engine import registry
from engine.registry import Entry, Registry
from engine.spec.problems import impossible, not_registered


def registered_in(entries: Registry[Any]) -> Callable[[str], str]:
    """Return a pydantic validator that accepts registered names.

    It raises PydanticCustomError that lists the registered names and suggests the nearest one.
    """

    def check(name: str) -> str:
        try:
            return entries.checked_name(name)
        except ValueError as error:
            raise not_registered(str(error)) from None

    return check


def check_parameters(entry: Entry[Any], given: Mapping[str, Any], field: str) -> None:
    """Check that the entry has every parameter in `given`, with the type of its default.

    A float parameter also accepts an int. Raises PydanticCustomError that names the parameter below `field`.
    """
    allowed = ", ".join(f"{name} = {default!r}" for name, default in entry.parameters.items())
    for name, value in given.items():
        if name not in entry.parameters:
            words = f"parameters of {entry.kind} {entry.name!r}: {allowed}" if allowed else "none of them"
            raise impossible((field, name), value, words)
        default = entry.parameters[name]
        kinds, words = _KINDS[type(default)]
        if type(value) not in kinds:
            raise impossible((field, name), value, f"{words}, such as {default!r}")


def takers(entries: Registry[Any], parameter: str) -> str:
    """The names of the entries that have a parameter, quoted, for a message."""
    return " or ".join(repr(entry.name) for entry in entries.entries() if parameter in entry.parameters)


_KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text in quotes"),
    tuple: ((list, tuple), "a list"),
}

NetworkName = Annotated[str, AfterValidator(registered_in(registry.network))]
CriterionName = Annotated[str, AfterValidator(registered_in(registry.criterion))]
TreatmentName = Annotated[str, AfterValidator(registered_in(registry.treatment))]
ArmKindName = Annotated[str, AfterValidator(registered_in(registry.arm))]
OptimizerName = Annotated[str, AfterValidator(registered_in(registry.optimizer))]
ScheduleName = Annotated[str, AfterValidator(registered_in(registry.schedule))]
