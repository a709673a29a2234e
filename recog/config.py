"""Settings: TOML tables to frozen dataclasses, strictly, with every fault named at once.

A field's type says what is allowed: int, float, bool, str, Literal, X | None, tuple[X, ...], a nested dataclass, one of
several (X | Y, told apart by their `kind`), or a `Component`, whose table names its kind and whose other keys are that part's own settings.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .components import find, nearest, section
from .errors import ConfigError


@dataclass(frozen=True)
class Component:
    """A part chosen from the catalogue: its name there, and its own settings."""

    kind: str
    config: Any


def component(of: str, default: str | None = None) -> Any:
    """A dataclass field that holds a Component, or a tuple of them, from the catalogue's section `of`.

    A "decoder" is looked up among those of the head that stands before it in the same dataclass.
    """
    if default is None:
        return dataclasses.field(metadata={"of": of})
    return dataclasses.field(metadata={"of": of},
                             default_factory=lambda: Component(default, find(of, default).Config()))


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("no such file", where=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not valid TOML: {error}", where=path) from None


def override(table: dict[str, Any], assignment: str) -> None:
    """Applies `section.key=value` to a table in place. The value is read as TOML, or else as a plain string."""
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"'{assignment}' is not of the form section.key=value", where="--set")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, key = path.strip().split(".")
    for name in sections:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"'{name}' in '{assignment}' is not a section", where="--set")
    table[key] = value


def build(cls: type, table: dict[str, Any], where: object) -> Any:
    """An instance of the dataclass `cls` from a table. Raises one ConfigError that lists all faults."""
    faults: list[str] = []
    value = _dataclass(cls, table, "", faults)
    if faults:
        raise ConfigError("; ".join(faults), where=where)
    return value


def plain(config: Any, defaults: bool = True) -> Any:
    """The reverse of `build`: dictionaries, lists and plain values, fit for JSON. `defaults` false: without what is at its default."""
    if isinstance(config, Component):
        return {"kind": config.kind, **plain(config.config, defaults)}
    if dataclasses.is_dataclass(config):
        return {f.name: plain(getattr(config, f.name), defaults) for f in dataclasses.fields(config)
                if defaults or getattr(config, f.name) != _default(f)}
    if isinstance(config, (tuple, list)):
        return [plain(item, defaults) for item in config]
    return config


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _dataclass(cls: type, table: Any, path: str, faults: list[str]) -> Any:
    name = path.rstrip(".") or "the file"
    if not isinstance(table, dict):
        faults.append(f"{name}: must be a section, not {table!r}")
        return None
    fields = {f.name: f for f in dataclasses.fields(cls)}
    before = len(faults)
    for key in table:
        if key not in fields:
            what = "section" if isinstance(table[key], dict) else "setting"
            faults.append(f"{path}{key}: unknown {what}{nearest(key, fields)}")
    values = {}
    for key, field in fields.items():
        if key in table:
            head = values.get("head") or (fields["head"].default_factory() if "head" in fields else None)
            metadata = {"of": section(field.metadata["of"], head.kind)} if head and "of" in field.metadata else field.metadata
            values[key] = _value(_hints(cls)[key], table[key], path + key, metadata, faults)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"{path}{key}: missing")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return None


def _value(kind: Any, value: Any, path: str, metadata: Any, faults: list[str]) -> Any:
    origin = get_origin(kind)
    if kind is Component:
        return _component(metadata["of"], value, path, faults)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, path + ".", faults)
    if origin in (Union, types.UnionType):
        choices = [k for k in get_args(kind) if k is not type(None)]
        return None if value is None else _value(_choice(choices, value, path, faults), value, path, metadata, faults)
    if origin is Literal:
        if value not in get_args(kind):
            faults.append(f"{path}: unknown value {value!r}{nearest(value, get_args(kind))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            faults.append(f"{path}: must be a list, not {value!r}")
            return ()
        return tuple(_value(get_args(kind)[0], item, f"{path}[{i}]", metadata, faults) for i, item in enumerate(value))
    if kind is None:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float, bool, str) and type(value) is not kind or kind is float and not math.isfinite(value):
        faults.append(f"{path}: must be {_NAMES[kind]}, not {value!r}")
    return value


def _choice(choices: list[type], value: Any, path: str, faults: list[str]) -> type | None:
    """Of several dataclasses, the one whose field `kind` may have the value that the table gives it; none given: the first."""
    if len(choices) == 1 or not isinstance(value, dict) or "kind" not in value:
        return choices[0]
    kinds = {kind: cls for cls in choices for kind in get_args(_hints(cls)["kind"])}
    if value["kind"] not in kinds:
        faults.append(f"{path}.kind: unknown value {value['kind']!r}{nearest(value['kind'], kinds)}")
    return kinds.get(value["kind"])


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def _component(of: str, table: Any, path: str, faults: list[str]) -> Component | None:
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        faults.append(f"{path}: must be a section with a 'kind'")
        return None
    try:
        cls = find(of, table["kind"])
    except ConfigError as error:
        faults.append(f"{path}.kind: {error.what}")
        return None
    settings = {key: value for key, value in table.items() if key != "kind"}
    return Component(table["kind"], _dataclass(cls.Config, settings, path + ".", faults))
