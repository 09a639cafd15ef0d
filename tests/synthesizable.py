"""Is a C++ file synthesizable? Walks its syntax tree with libclang and names what high-level synthesis refuses.

The rules are stricter than the tools': a loop must show its bound in its head, not only have one.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clang import cindex
from clang.cindex import Cursor, CursorKind, TypeKind

WARNINGS = ("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label")
PLAIN_STD_HEADERS = {"type_traits", "cstdint", "cstddef"}
"""What of the standard library has no state and no memory."""

ALLOCATORS = {"malloc", "calloc", "realloc", "free", "alloca", "aligned_alloc", "strdup"}
FLOATS = {TypeKind.FLOAT, TypeKind.DOUBLE, TypeKind.LONGDOUBLE, TypeKind.FLOAT128, TypeKind.HALF}
FUNCTIONS = {CursorKind.FUNCTION_DECL, CursorKind.FUNCTION_TEMPLATE, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR}
REFUSED = {
    CursorKind.CXX_NEW_EXPR: "dynamic memory",
    CursorKind.CXX_DELETE_EXPR: "dynamic memory",
    CursorKind.CXX_THROW_EXPR: "exception",
    CursorKind.CXX_TRY_STMT: "exception",
    CursorKind.WHILE_STMT: "unbounded loop",
    CursorKind.DO_STMT: "unbounded loop",
    CursorKind.CXX_FOR_RANGE_STMT: "unbounded loop",
    CursorKind.GOTO_STMT: "unbounded loop",
    CursorKind.INDIRECT_GOTO_STMT: "unbounded loop",
    CursorKind.CXX_DYNAMIC_CAST_EXPR: "virtual function",
    CursorKind.CXX_TYPEID_EXPR: "virtual function",
    CursorKind.FLOATING_LITERAL: "floating point",
}
LOOPS = {CursorKind.FOR_STMT, CursorKind.WHILE_STMT, CursorKind.DO_STMT, CursorKind.CXX_FOR_RANGE_STMT}
NAME = re.compile(r"[A-Za-z_]\w*")
ASSIGNING = re.compile(r"(<<|>>|[-+*/%&|^])?=")


@dataclass(frozen=True, order=True)
class Breach:
    """One thing that cannot be synthesised."""

    file: str
    line: int
    rule: str
    what: str


@dataclass
class Walk:
    """What one walk over a file collects; `calls` is who calls whom, by name, for the rule on recursion."""

    folder: Path
    breaches: set[Breach] = field(default_factory=set)
    calls: dict[str, set[str]] = field(default_factory=dict)
    places: dict[str, Cursor] = field(default_factory=dict)

    def refuse(self, cursor: Cursor, rule: str, what: str) -> None:
        file = Path(str(cursor.location.file)).relative_to(self.folder).as_posix()
        self.breaches.add(Breach(file, cursor.location.line, rule, what))


def breaches(folder: Path, file: str, includes: Sequence[str] = (".", "include"), top: str = "") -> list[Breach]:
    """Everything in `file` and in the headers below `folder` that it includes (stand-ins and test bench aside).

    Parameters
    ----------
    includes
        Folders below `folder` that hold headers.
    top
        Name of the function whose parameters are ports; each needs an interface pragma.
    """
    folder = folder.resolve()
    unit = parsed(folder, file, includes)
    walk = Walk(folder)
    for diagnostic in unit.diagnostics:
        if diagnostic.severity >= cindex.Diagnostic.Warning:
            where = diagnostic.location
            name = Path(str(where.file)).name if where.file else file
            walk.breaches.add(Breach(name, where.line, "compiler", diagnostic.spelling))
    skipped = {folder / "include", folder / "testbench"}
    for cursor in unit.cursor.get_children():
        if cursor.location.file is None:
            continue
        path = Path(str(cursor.location.file)).resolve()
        if path.is_relative_to(folder) and not any(path.is_relative_to(one) for one in skipped):
            visit(cursor, None, "", walk)
    recursion(walk)
    if top:
        ports(unit.cursor, top, walk)
    return sorted(walk.breaches)


def parsed(folder: Path, file: str, includes: Sequence[str]) -> cindex.TranslationUnit:
    """The syntax tree of a file; the system's headers are those of g++."""
    arguments = ["-xc++", "-std=c++17", "-nostdinc", "-nostdinc++", *WARNINGS]
    arguments += [f"-I{folder / include}" for include in includes]
    arguments += [part for path in system_headers() for part in ("-isystem", path)]
    return cindex.Index.create().parse(str(folder / file), arguments)


@functools.cache
def system_headers() -> tuple[str, ...]:
    """Where g++ looks for headers; the wheel of libclang brings none."""
    said = subprocess.run(
        ["g++", "-E", "-x", "c++", "-v", "-"], input="", capture_output=True, text=True, check=True
    ).stderr
    listed = said.split("#include <...> search starts here:")[1].split("End of search list.")[0]
    return tuple(line.strip() for line in listed.splitlines() if line.strip())


def visit(cursor: Cursor, parent: Cursor | None, function: str, walk: Walk) -> None:
    """Hold a cursor and all below it against the rules; `function` is the one that it stands in."""
    kind = cursor.kind
    if kind in FUNCTIONS:
        function = cursor.spelling
        walk.calls.setdefault(function, set())
        walk.places.setdefault(function, cursor)
        if cursor.is_virtual_method():
            walk.refuse(cursor, "virtual function", cursor.spelling)
    if kind in REFUSED:
        walk.refuse(cursor, REFUSED[kind], kind.name.lower())
    if kind == CursorKind.CXX_BASE_SPECIFIER and "virtual" in (token.spelling for token in cursor.get_tokens()):
        walk.refuse(cursor, "virtual function", cursor.spelling)
    if kind in LOOPS and (parent is None or parent.kind != CursorKind.LABEL_STMT):
        walk.refuse(cursor, "loop label", f"loop in {function}")
    if kind == CursorKind.FOR_STMT and (why := unbounded(cursor)):
        walk.refuse(cursor, "unbounded loop", why)
    if kind == CursorKind.VAR_DECL:
        variable(cursor, function, walk)
    if floating(cursor):
        walk.refuse(cursor, "floating point", cursor.spelling or kind.name.lower())
    for name in called(cursor):
        walk.calls.setdefault(function, set()).add(name)
        if name in ALLOCATORS:
            walk.refuse(cursor, "dynamic memory", name)
    if (used := from_std(cursor)) is not None:
        walk.refuse(cursor, "std container", used)
    for child in cursor.get_children():
        visit(child, cursor, function, walk)


def variable(cursor: Cursor, function: str, walk: Walk) -> None:
    """Variables that outlive a call must be constants; arrays must have a size that is known."""
    if cursor.type.kind == TypeKind.VARIABLEARRAY:
        walk.refuse(cursor, "dynamic memory", f"array {cursor.spelling} of variable size")
    lives_on = cursor.storage_class == cindex.StorageClass.STATIC or not function
    member = cursor.semantic_parent.kind in (
        CursorKind.CLASS_DECL,
        CursorKind.STRUCT_DECL,
        CursorKind.CLASS_TEMPLATE,
    )
    if lives_on and not constant(cursor):
        walk.refuse(cursor, "static", cursor.spelling if function or member else f"global {cursor.spelling}")


def constant(cursor: Cursor) -> bool:
    """Whether a variable is const; an array, whether it or its elements are."""
    of = cursor.type
    while not of.is_const_qualified() and of.kind in (
        TypeKind.CONSTANTARRAY,
        TypeKind.DEPENDENTSIZEDARRAY,
        TypeKind.INCOMPLETEARRAY,
    ):
        of = of.element_type
    return bool(of.is_const_qualified())


def floating(cursor: Cursor) -> bool:
    """Whether something has a floating type, or is computed in one."""
    of = cursor.type.get_canonical()
    while of.kind in (TypeKind.POINTER, TypeKind.LVALUEREFERENCE, TypeKind.CONSTANTARRAY):
        of = of.element_type if of.kind == TypeKind.CONSTANTARRAY else of.get_pointee()
        of = of.get_canonical()
    result = cursor.result_type.get_canonical().kind if cursor.kind in FUNCTIONS else TypeKind.INVALID
    return of.kind in FLOATS or result in FLOATS


def called(cursor: Cursor) -> Iterator[str]:
    """Names that a call may go to; calls inside templates are not resolved yet, so a name stands for all overloads."""
    if cursor.kind == CursorKind.CALL_EXPR:
        if cursor.spelling:
            yield cursor.spelling
        for child in cursor.get_children():
            # The callee comes first; arguments are visited on their own.
            yield from callee_names(child)
            return


def callee_names(cursor: Cursor) -> Iterator[str]:
    if cursor.kind in (CursorKind.OVERLOADED_DECL_REF, CursorKind.MEMBER_REF_EXPR, CursorKind.DECL_REF_EXPR):
        yield cursor.spelling
    for child in cursor.get_children():
        if child.kind != CursorKind.CALL_EXPR:
            yield from callee_names(child)


def from_std(cursor: Cursor) -> str | None:
    """The name of what is taken from the standard library, unless its header is a plain one."""
    found = cursor.referenced if cursor.kind.is_reference() or cursor.kind.is_expression() else None
    if found is None or found.location.file is None or found.kind == CursorKind.NAMESPACE:
        return None
    scope = found.semantic_parent
    while scope is not None and scope.kind != CursorKind.TRANSLATION_UNIT:
        if scope.kind == CursorKind.NAMESPACE and scope.spelling == "std":
            return None if Path(str(found.location.file)).name in PLAIN_STD_HEADERS else found.spelling
        scope = scope.semantic_parent
    return None


def unbounded(loop: Cursor) -> str | None:
    """Why a for loop's head does not show its bound, or None.

    It does in `for (T i = a; i < b; ++i)`, or with more conditions after `&&`, when i and b are left alone inside.
    """
    children = list(loop.get_children())
    if len(children) != 4 or children[0].kind != CursorKind.DECL_STMT:
        return "head is not (declaration; condition; step)"
    start, condition, step, body = children
    variables = [child for child in start.get_children() if child.kind == CursorKind.VAR_DECL]
    if len(variables) != 1:
        return "head declares not exactly one variable"
    name = variables[0].spelling
    head = spellings(condition)
    clauses = " ".join(head).split(" && ") if "||" not in head else []
    bounds = [words for clause in clauses if len(words := clause.split(" ")) > 2 and words[0] == name]
    reasons = [why_unbounded(name, words, spellings(step), spellings(body)) for words in bounds]
    return None if None in reasons else next(iter(reasons), f"condition does not compare '{name}'")


def why_unbounded(name: str, condition: Sequence[str], step: Sequence[str], body: Sequence[str]) -> str | None:
    """Why `name` may never pass the bound of a condition, which starts with it; all in tokens."""
    if condition[1] not in ("<", "<=", ">", ">="):
        return f"condition does not compare '{name}'"
    sign = "+" if condition[1] in ("<", "<=") else "-"
    if not " ".join(step).startswith((f"{sign}{sign} {name}", f"{name} {sign}{sign}", f"{name} {sign}=")):
        return f"step does not move '{name}' to its bound"
    bound = {word for word in condition[2:] if NAME.fullmatch(word)}
    if name in bound:
        return f"bound depends on '{name}'"
    if moved := sorted(({name} | bound) & assigned(body)):
        return f"body changes '{moved[0]}'"
    return None


def assigned(words: Sequence[str]) -> set[str]:
    """Names that a run of tokens assigns, counts up or down."""
    found = set()
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if not NAME.fullmatch(word):
            continue
        if ASSIGNING.fullmatch(after) or after in ("++", "--") or before in ("++", "--"):
            found.add(word)
    return found


def spellings(cursor: Cursor) -> list[str]:
    """The tokens of a cursor's text."""
    return [token.spelling for token in cursor.get_tokens()]


def recursion(walk: Walk) -> None:
    """Refuse every function that reaches itself."""
    for name, place in walk.places.items():
        seen: set[str] = set()
        todo = set(walk.calls[name])
        while todo:
            now = todo.pop()
            seen.add(now)
            todo |= walk.calls.get(now, set()) - seen
        if name in seen:
            walk.refuse(place, "recursion", name)


def ports(root: Cursor, top: str, walk: Walk) -> None:
    """Refuse a parameter of the top function, or its return, that no interface pragma names."""
    tops = [one for one in root.get_children() if one.spelling == top and one.is_definition()]
    assert len(tops) == 1, f"{len(tops)} functions are called {top}"
    lines = Path(str(tops[0].location.file)).read_text().splitlines()
    text = "\n".join(lines[tops[0].extent.start.line - 1 : tops[0].extent.end.line])
    pragmas = re.findall(r"^#pragma HLS interface (\w+) port=(\w+)\b", text, flags=re.M | re.I)
    given = {port for _, port in pragmas}
    for argument in (*(one.spelling for one in tops[0].get_arguments()), "return"):
        if argument not in given:
            walk.refuse(tops[0], "interface port", argument)
    for mode, port in pragmas:
        # The address of a memory port is a register: without one the tool would make it a wire.
        if mode == "m_axi" and ("s_axilite", port) not in pragmas:
            walk.refuse(tops[0], "interface port", f"address of {port}")
