"""A strict reader of YAML: each mistake is an InputError with the file, the line and a correction.

It reads the subset of YAML on which version 1.1 (PyYAML) and version 1.2 (ruamel.yaml, with which DVC reads the same file)
agree. `yes`, `no`, `on` and `off` are text. An unquoted date, octal number or time is refused, because the versions differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from transferline.core.errors import LONGEST_SHOWN, InputError, shown
from transferline.core.former_names import FORMER_NAMES

DEPTH = 40  # levels of nesting; params.yaml needs ten
NODES = 100_000  # values, each alias counted with all that it stands for: a bound on "merge bombs"
BYTES = 4_000_000
DIGITS = 30  # of a whole number
QUOTE = "Put it in quotes if it is text"
NULL, BOOL, INT, FLOAT, ENDLESS, MERGE, AMBIGUOUS = (
    f"strict:{name}" for name in ("null", "bool", "int", "float", "endless", "<<", "ambiguous")
)
_PLAIN = {
    NULL: r"~|null|Null|NULL|",
    BOOL: r"true|True|TRUE|false|False|FALSE",
    MERGE: r"<<",
    INT: r"[-+]?(0|[1-9][0-9]*)",
    FLOAT: r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    ENDLESS: r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    # leading zeros and underscores, other number systems, minutes (1:30), dates
    AMBIGUOUS: r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+._]?[0-9_]*_[0-9_.]*|[-+]?0[xob][0-9a-fA-F_]+|"
    r"[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?|=",
}


@dataclass
class Document:
    """A YAML file as plain values. `line` and `entry` find the place of a value for a message."""

    path: Path
    root: Node
    value: Any = None
    _entries: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)

    def find(self, place: Sequence[object]) -> tuple[tuple[str, ...], int]:
        """The entry at a place and its line, counted from 1. Parts of the place that the file does not contain are left out."""
        names, line, _ = self._walk(place)
        return names, line

    def written(self, place: Sequence[object]) -> str:
        """The text of a scalar as it stands in the file."""
        return str(self._walk(place)[2].value)

    def _walk(self, place: Sequence[object]) -> tuple[tuple[str, ...], int, Node]:
        node, line, names, chosen = self.root, self.root.start_mark.line, [], None
        for part in place:
            found = self._child(node, part)
            method = self._child(node, "method")
            if method is not None and method[1].value == part and chosen is not node:
                chosen = node  # pydantic names the method before the field: ('recipes', NAME, 'tune', 'full', 'epochs')
            elif found is not None:
                key, node = found
                line = key.start_mark.line
                names.append(str(part)[:LONGEST_SHOWN])
        return tuple(names), line + 1, node

    def refuse(self, place: Sequence[object], what: str, mend: str) -> NoReturn:
        """Raise InputError for the entry at a place."""
        names, line = self.find(place)
        raise InputError(f"{self.path}, line {line}, {'.'.join(names) or 'the file'}", what, mend)

    def _child(self, node: Node, part: object) -> tuple[Node, Node] | None:
        """(node with the line, value) of a key or an index."""
        if isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
            return node.value[part], node.value[part]
        if isinstance(node, MappingNode):
            entries = self.entries(node)
            return entries.get(str(part)) or entries.get(FORMER_NAMES.get(str(part), ""))
        return None

    def entries(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Key as written -> (key, value) of a mapping, merged ones (`<<`) included. Own keys replace merged ones."""
        if id(node) not in self._entries:
            own: dict[str, tuple[Node, Node]] = {}
            merged: dict[str, tuple[Node, Node]] = {}
            for key, value in node.value:
                name = self._name(key)
                if name in own:
                    first = own[name][0].start_mark.line + 1
                    self._refuse(key, f"the key {shown(name)} stands here and in line {first}", "Keep one of the two")
                own[name] = (key, value)
            if "<<" in own and own["<<"][0].tag == MERGE:
                for part in self._merged(own.pop("<<")[1]):
                    merged = {**self.entries(part), **merged}
            self._entries[id(node)] = {**merged, **own}
        return self._entries[id(node)]

    def _merged(self, node: Node) -> list[MappingNode]:
        """The mappings that `<<` names, the first of which wins."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        for part in parts:
            if not isinstance(part, MappingNode):
                self._refuse(part, "`<<` merges mappings only", "Name an anchor of a mapping, such as `<<: *tone`")
        return list(parts)

    def _name(self, key: Node) -> str:
        if not isinstance(key, ScalarNode):
            self._refuse(key, "a key is a list or a mapping", "Use text as the key")
        if key.tag == AMBIGUOUS:
            self._ambiguous(key)
        return self._text(key)

    def read(self, node: Node) -> Any:
        """The plain value of a node: text, number, boolean, None, list, or a dictionary whose keys are text or whole numbers."""
        if isinstance(node, SequenceNode):
            return [self.read(part) for part in node.value]
        if isinstance(node, MappingNode):
            return {
                self._number(key) if key.tag == INT else name: self.read(value)
                for name, (key, value) in self.entries(node).items()
            }
        match node.tag:
            case t if t == NULL:
                return None
            case t if t == BOOL:
                return node.value.lower() == "true"
            case t if t in (INT, FLOAT, ENDLESS):
                return self._number(node)
            case t if t == AMBIGUOUS:
                self._ambiguous(node)
        return self._text(node)

    def _number(self, node: Node) -> int | float:
        if node.tag == ENDLESS:
            self._refuse(node, f"{node.value} is not a finite number", f"Write a finite number. {QUOTE}")
        if len(node.value) > DIGITS or abs(float(node.value)) == float("inf"):
            self._refuse(node, f"the number {shown(node.value)} is too long or too large", QUOTE)
        return int(node.value) if node.tag == INT else float(node.value)

    def _text(self, node: Node) -> str:
        """The text of a scalar. Control characters are refused, because they would steer the terminal that shows the text."""
        wrong = [c for c in node.value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
        if wrong:
            self._refuse(node, f"the text has the control character U+{ord(wrong[0]):04X}", "Remove it")
        return str(node.value)

    def _ambiguous(self, node: Node) -> NoReturn:
        mend = "Put it in quotes if it is text. Write a number with decimal digits, and without leading zeros"
        self._refuse(node, f"versions of YAML read {shown(node.value)} differently", mend)

    def _refuse(self, node: Node, what: str, mend: str) -> NoReturn:
        raise InputError(f"{self.path}, line {node.start_mark.line + 1}", what, mend)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with limits, and without tags."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.depth = path, 0
        self.sizes: dict[int, int] = {}  # id of a node -> number of values in it
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()
        line = event.start_mark.line + 1
        is_alias = isinstance(event, yaml.AliasEvent)
        if not is_alias and event.tag is not None:
            tag = shown(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise InputError(f"{self.path}, line {line}", f"the tag {tag} is not supported", "Leave it out")
        self.depth += 1
        if self.depth > DEPTH:
            raise InputError(f"{self.path}, line {line}", f"more than {DEPTH} levels of nesting", "Flatten the entry")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not is_alias:
            parts = node.value if isinstance(node, SequenceNode | MappingNode) else []
            pairs = parts if isinstance(node, SequenceNode) else [part for pair in parts for part in pair]
            self.sizes[id(node)] = 1 + sum(self.sizes[id(part)] for part in pairs)
        elif id(node) not in self.sizes:
            raise InputError(
                f"{self.path}, line {line}", f"the anchor {event.anchor!r} contains itself", "Remove the alias"
            )
        if self.sizes[id(node)] > NODES:
            mend = "Remove aliases of aliases"
            raise InputError(f"{self.path}, line {line}", f"the entry stands for more than {NODES} values", mend)
        return node


for _tag, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), None)


def read_yaml(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping. Raises InputError if the file is missing, or not strict YAML."""
    text = _decoded(path)
    try:
        loader = _Loader(path, text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        what = f"not YAML (the character U+{code:04X})"
        raise InputError(f"{path}, line {line}", what, "Remove it") from error
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        context = f"{error.context}, " if error.context else ""
        what = f"not YAML ({context}{error.problem})"
        raise InputError(f"{path}, line {mark.line + 1}", what, "Correct the line, or the one above it") from error
    except InputError:
        raise
    except (ValueError, OverflowError) as error:  # PyYAML converts \U escapes and %YAML versions without a check
        raise InputError(f"{path}, line {loader.line + 1}", f"not YAML ({error})", "Correct the line") from error
    finally:
        loader.dispose()
    if not isinstance(root, MappingNode):
        raise InputError(
            f"{path}, line 1", "the file is not a mapping of blocks", "Begin it with `targets:`, for example"
        )
    document = Document(path, root)
    document.value = document.read(root)
    return document


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "Run from the project's folder") from None
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "Make it a readable file") from error
    if len(data) > BYTES:
        raise InputError(path, f"the file has more than {BYTES // 1_000_000} MB", "Declare less in it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        raise InputError(f"{path}, line {line}", what, "Save the file as UTF-8") from error
