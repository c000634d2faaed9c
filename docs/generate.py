"""Writes the generated parts of the documentation: `python docs/generate.py`.

A page that has one ends in a marker line, and what stands below the marker is written anew; what stands above it is
written by hand. Commands are read from the command line's own objects, fields from the schemas that validate them.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from compete.base_models.boosted.settings import BoostedSettings
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.linear.settings import LinearSettings
from compete.base_models.pretrained.settings import Lora, TransformerSettings
from compete.base_models.pretraining import LanguageModeling, Step
from compete.base_models.pseudo_labels import PseudoLabels
from compete.base_models.recipes import Architecture, Published, RecipeDeclaration, Tuned
from compete.base_models.task_settings import listed, tasks_of
from compete.cli.main import app
from compete.competition.declaration import (
    CompetitionDeclaration,
    Data,
    Execution,
    Folds,
    Submission,
    Tracking,
    Training,
)
from compete.competition.starter import starter_folder
from compete.competition.task import KINDS
from compete.declarations import read_toml
from compete.stacking.stack_recipes import StackDeclaration, Trees

DOCS = Path(__file__).parent
OPTIONS, FIELDS, COMMANDS = (f"<!-- generated: {what} -->" for what in ("options", "fields", "commands"))
MARKERS = (OPTIONS, FIELDS, COMMANDS)

# Every schema that a user writes for: the heading of its section, the schema, and the schema whose fields are told
# elsewhere.
Section = tuple[str, type[BaseModel], type[BaseModel] | None]
RECIPE: tuple[Section, ...] = (
    ("Keys of a recipe", RecipeDeclaration, None),
    ("`[settings]` of family `linear`", LinearSettings, None),
    ("`[settings]` of family `lightgbm`", BoostedSettings, None),
    ("`[settings]` of family `ffnn`", FeedForwardSettings, None),
    ("`[settings]` of both families of pretrained transformers", TransformerSettings, None),
    ("`[settings.lora]`", Lora, None),
    ("`[settings]` of family `sequence_classifier`", SequenceClassifierSettings, TransformerSettings),
    ("`[settings]` of family `embeddings`", EmbeddingsSettings, None),
    ("`[settings]` of family `label_generator`", LabelGeneratorSettings, TransformerSettings),
    ("`[pseudo_labels]`", PseudoLabels, None),
    ("`[[pretrain_on]]`", Step, None),
    ("`[pretrain_on.settings]` of texts", LanguageModeling, None),
    ("`[tuned]`", Tuned, None),
    ("`[published]`", Published, None),
    ('`[architectures."CHECKPOINT"]`', Architecture, None),
)
COMPETITION: tuple[Section, ...] = (
    ("Keys at the top", CompetitionDeclaration, None),
    ("`[data]`", Data, None),
    ("`[folds]`", Folds, None),
    ("`[training]`", Training, None),
    ("`[execution]`", Execution, None),
    ("`[tracking]`", Tracking, None),
    ("`[submission]`", Submission, None),
)
STACK: tuple[Section, ...] = (("Keys of a stack recipe", StackDeclaration, None), ("`[trees]`", Trees, None))

_PLURALS = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def main() -> None:
    """Write every generated part; names the pages that changed."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(DOCS))


def pages() -> dict[Path, str]:
    """What every page with a generated part should hold."""
    parts = {DOCS / "commands" / "index.md": (COMMANDS, command_list())}
    for name in command_names():
        parts[command_page(name)] = (OPTIONS, command_part(name))
    for name, sections, shipped in (
        ("recipe_reference", RECIPE, shipped_recipes()),
        ("competition_reference", COMPETITION, []),
        ("stack_reference", STACK, shipped_stacks()),
    ):
        parts[DOCS / f"{name}.md"] = (FIELDS, "\n".join([*schema_part(sections), *shipped]))
    return {path: below_marker(path, marker, part) for path, (marker, part) in parts.items()}


def below_marker(path: Path, marker: str, part: str) -> str:
    """The page with `part` below its marker; a page that is missing begins with its title."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"# compete {path.stem}\n\n{marker}\n"
    if text.count(marker) != 1:
        sys.exit(f"{path.name} must have the line {marker} once")
    return text[: text.index(marker)] + f"{marker}\n\n{part.strip()}\n"


# Commands


def commands() -> dict[str, Any]:
    """The commands as the command line has them, in the order of its help; of a group, the group."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def callbacks() -> dict[str, Any]:
    """The function of every command, by its words."""
    groups = {f"{group.name} ": group.typer_instance for group in app.registered_groups}
    return {
        f"{before}{command.name}": command.callback
        for before, owner in {"": app, **groups}.items()
        for command in (owner.registered_commands if owner is not None else [])
    }


def command_names() -> list[str]:
    return list(commands())


def command_page(name: str) -> Path:
    return DOCS / "commands" / f"{name}.md"


def command_list() -> str:
    """All commands with the first line of their help."""
    rows = [[f"[`compete {name}`]({name}.md)", first_line(command.help)] for name, command in commands().items()]
    return table(["command", "what it does"], rows)


def first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def command_part(name: str) -> str:
    """What the command is told; of a group, a section for each of its commands."""
    command = commands()[name]
    if not hasattr(command, "commands"):
        return options_part(name, command, "##")
    parts = [
        [f"## compete {name} {each}", options_part(f"{name} {each}", command.commands[each], "###")]
        for each in command.commands
    ]
    return "\n\n".join(line for part in parts for line in part)


def options_part(name: str, command: Any, heading: str) -> str:
    """Usage, the command's docstring, its arguments and options."""
    annotations = {
        p.name: p.annotation for p in inspect.signature(callbacks()[name], eval_str=True).parameters.values()
    }
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    of_usage = ["```text", usage(name, arguments, bool(options)), "```", "", command.help.strip()]
    parts = [f"{heading} Usage", "", *of_usage] if heading == "##" else of_usage
    if arguments:
        rows = [[f"`{shown_name(p)}`", needed(p), p.help or ""] for p in arguments]
        parts += ["", f"{heading} Arguments", "", table(["argument", "", "meaning"], rows)]
    if options:
        rows = [[spellings(p), option_value(p, annotations[p.name]), p.help or ""] for p in options]
        parts += ["", f"{heading} Options", "", table(["option", "value", "meaning"], rows)]
    return "\n".join(parts)


def usage(name: str, arguments: Sequence[Any], has_options: bool) -> str:
    words = ["compete", name, *(["[OPTIONS]"] if has_options else []), *(argument_usage(p) for p in arguments)]
    return " ".join(words)


def argument_usage(parameter: Any) -> str:
    name: str = parameter.metavar or parameter.name.upper()
    if parameter.required or name.startswith("["):
        return name + ("..." if parameter.required and parameter.nargs == -1 else "")
    return f"[{name}]" + ("..." if parameter.nargs == -1 else "")


def shown_name(parameter: Any) -> str:
    name: str = parameter.metavar or parameter.name.upper()
    return name.strip("[].")


def needed(parameter: Any) -> str:
    if parameter.nargs == -1:
        return "any number"
    return "required" if parameter.required else "optional"


def spellings(parameter: Any) -> str:
    return ", ".join(
        f"`{name}`" for name in sorted([*parameter.opts, *parameter.secondary_opts], key=len, reverse=True)
    )


def option_value(parameter: Any, annotation: Any) -> str:
    """What has to follow an option, and what it is without it."""
    inner, info = get_args(annotation)[:2] if get_origin(annotation) is Annotated else (annotation, None)
    kinds = without_none(inner)
    if kinds == [bool]:
        return ""
    many = get_origin(kinds[0]) is list
    kind = get_args(kinds[0])[0] if many else kinds[0]
    said = [parameter.metavar or {Path: "path", str: "text", int: "whole number", float: "number"}[kind]]
    said += [f"{word} {limit}" for limit, word in ((info.min, "at least"), (info.max, "at most")) if limit is not None]
    if parameter.required:
        said.append("required")
    elif not many and parameter.default not in (None, ...):
        said.append(f"default `{parameter.default}`")
    return ", ".join([*said, *(["repeatable"] if many else [])])


# Schemas


def schema_part(sections: Sequence[Section]) -> Iterator[str]:
    """A section with a table of fields per schema."""
    for heading, schema, told_elsewhere in sections:
        yield f"## {heading}\n"
        if told_elsewhere is not None:
            yield "Besides the settings of both families above:\n"
        left_out = set(told_elsewhere.model_fields) if told_elsewhere else set()
        yield field_table({name: field for name, field in schema.model_fields.items() if name not in left_out}) + "\n"


def field_table(fields: dict[str, FieldInfo]) -> str:
    rows = [
        [f"`{name}`", field_value(field), field_default(field), (field.description or "") + field_tasks(field)]
        for name, field in fields.items()
    ]
    return table(["key", "value", "default", "meaning"], rows)


def field_tasks(field: FieldInfo) -> str:
    """The tasks in which a setting may be set, unless those are all."""
    tasks = tasks_of(field)
    return "" if len(tasks) == len(KINDS) else f" (only in {listed(tasks)})"


def field_value(field: FieldInfo) -> str:
    """What may be written for a field, in words."""
    return ", ".join([" or ".join(type_words(field.annotation)), *bounds(field.metadata)])


def type_words(annotation: Any) -> list[str]:
    """The kinds of value that an annotation takes; None is no kind, since TOML has none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return list(dict.fromkeys(word for each in without_none(annotation) for word in type_words(each)))
    if origin is Annotated:
        return [
            ", ".join(
                [*type_words(arguments[0]), *(b for f in arguments[1:] for b in bounds(getattr(f, "metadata", [])))]
            )
        ]
    if origin is Literal:
        return [f"`{json.dumps(value)}`" for value in arguments]
    if origin is tuple and ... not in arguments:
        return [f"list of {len(arguments)} {plural(type_words(arguments[0])[0])}"]
    if origin in (list, tuple):
        return [f"list of {plural(' or '.join(type_words(arguments[0])))}"]
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return ["table"]
    return [{str: "text", bool: "`true` or `false`", int: "whole number", float: "number"}[annotation]]


def without_none(annotation: Any) -> list[Any]:
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [each for each in get_args(annotation) if each is not NoneType]


def plural(words: str) -> str:
    head, comma, rest = words.partition(",")
    return _PLURALS.get(head, head) + comma + rest


def bounds(metadata: Iterable[Any]) -> Iterator[str]:
    """The limits of a value, in words."""
    for limit in metadata:
        for key, word in _BOUNDS.items():
            if (value := getattr(limit, key, None)) is not None:
                yield f"{word} {value}"
        if (length := getattr(limit, "min_length", None)) is not None and length > 1:
            yield f"at least {length} of them"
        if (pattern := getattr(limit, "pattern", None)) is not None:
            yield f"like `{pattern}`"


def field_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel | dict) or value in ([], ""):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


# Recipes that come with compete


def shipped_recipes() -> list[str]:
    rows = []
    for path in sorted((starter_folder() / "base_models").glob("*.toml")):
        raw = read_toml(path)
        checkpoints = [code(raw.get(size, {}).get("checkpoint")) for size in ("settings", "laptop", "miniature")]
        rows.append([f"`{path.stem}`", f"`{raw['family']}`", raw.get("description", ""), *checkpoints])
    heads = ["recipe", "family", "what it is", "checkpoint", "on a laptop", "miniature"]
    return ["## Recipes that come with compete\n", table(heads, rows)]


def shipped_stacks() -> list[str]:
    files = sorted((starter_folder() / "stacking").glob("*.toml"))
    raws = {path.stem: read_toml(path) for path in files}
    rows = [[f"`{name}`", f"`{raw['method']}`", raw.get("description", "")] for name, raw in raws.items()]
    return ["## Stacks that come with compete\n", table(["recipe", "method", "what it is"], rows)]


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; an empty cell is one space wide."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in (heads, *escaped)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


if __name__ == "__main__":
    main()
