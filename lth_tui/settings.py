"""What a person has set: colours, keys, and what the terminal can do."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import tomlkit
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from tomlkit.exceptions import TOMLKitError

from engine.errors import BadInput
from engine.spec.problems import FieldsAt, problems_of
from engine.store.files import write_atomic
from lth_tui.themes import DEFAULT, THEMES


def _known(theme: str) -> str:
    if theme not in THEMES:
        raise PydanticCustomError("theme", ", ".join(THEMES))  # type: ignore[arg-type]
    return theme


def _flat(tables: Any) -> Any:
    """Ids that were written without quotes, which TOML takes for tables, as ids."""
    if not isinstance(tables, dict):
        return tables
    found: dict[str, Any] = {}
    for name, value in tables.items():
        below = _flat(value) if isinstance(value, dict) else None
        found |= {name: value} if below is None else {f"{name}.{rest}": each for rest, each in below.items()}
    return found


class Settings(BaseModel):
    """The settings. None: as the terminal is found to be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    theme: Annotated[str, AfterValidator(_known)] = Field(DEFAULT, description="Colours")
    ascii: bool | None = Field(None, description="Nothing but ASCII is drawn")
    ssh: bool | None = Field(None, description="Fewer frames, for a slow line")
    hints: bool = Field(True, description="As long as there is no run, what to do first is told")
    plugins: tuple[str, ...] = Field(
        (), strict=False, description="Python files that register entries; relative paths start from this file's folder"
    )
    keys: Annotated[dict[str, str], BeforeValidator(_flat)] = Field(
        default_factory=dict, description="Keys of bindings by their ids; several with commas between them"
    )


class SettingsFile:
    """The file at `path`, which need not be there."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> Settings:
        """The settings. Raises BadInput, one line naming the file, the field, what was found and what is allowed."""
        try:
            return Settings.model_validate(tomllib.loads(self._text()))
        except ValidationError as error:
            problems = problems_of(error, FieldsAt(Settings))
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise BadInput(f"{self.path}: {problems[0]}{more}") from None
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{self.path}: not TOML: {' '.join(str(error).split())}") from None

    def put(self, name: str, value: Any) -> None:
        """Set one of them; what else is in the file stays as it was written. Raises BadInput."""
        try:
            tables = tomlkit.parse(self._text())
            tables[name] = value
            write_atomic(self.path, tomlkit.dumps(tables).encode())
        except TOMLKitError as error:
            raise BadInput(f"{self.path}: not TOML: {' '.join(str(error).split())}") from None
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
