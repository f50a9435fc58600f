"""Small changes that make a mistake: every place of a C++ file where one fits, found on its text alone.

A change that does not compile is no mutant; scripts/mutate_random.py draws another.
"""

import re
from dataclasses import dataclass

# A name with members, an index or a call behind it, or a number.
OPERAND = r"(?:[A-Za-z_][\w:]*(?:(?:\.|->)\w+)*|\d[\w.]*)(?:\[[^\[\]]*\]|\([^()]*\))?"
END = r"(?=[;,)\]}]| [-+*/%<>=!&|?:])"

# kind: [(pattern, replacement)]; patterns see code without comments, strings and preprocessor lines. Binary operators
# stand between spaces (clang-format), so that < of a template is none.
REPLACEMENTS = {
    "comparison": [
        (r"(?<= )<(?= )", ("<=", ">=")), (r"(?<= )<=(?= )", ("<", ">")), (r"(?<= )>(?= )", (">=", "<=")),
        (r"(?<= )>=(?= )", (">", "<")), (r"(?<= )==(?= )", ("!=",)), (r"(?<= )!=(?= )", ("==",)),
    ],
    "arithmetic": [
        (r"(?<=[\w)\]] )\+(?= )", ("-",)), (r"(?<=[\w)\]] )-(?= )", ("+",)), (r"(?<=[\w)\]] )\*(?= )", ("+",)),
        (r"(?<=[\w)\]] )/(?= )", ("*",)), (r"(?<=[\w)\]] )%(?= )", ("/",)), (r"(?<= )\+=(?= )", ("=", "-=")),
        (r"\+\+(?=\w)", ("--",)),
    ],
    "logic": [
        (r"(?<= )&&(?= )", ("||",)), (r"(?<= )\|\|(?= )", ("&&",)), (r"(?<![\w)])!(?=[\w(])", ("",)),
        (r"\btrue\b", ("false",)), (r"\bfalse\b", ("true",)), (r"\bany_of\b", ("all_of",)), (r"\ball_of\b", ("any_of",)),
    ],
    "constant": [
        (r"(?<![\w.])\d+(?![\w.'])", ("next", "previous")),
        (r"(?<![\w.])\d+\.\d*(?:e[-+]?\d+)?f?(?![\w.])", ("double",)),
    ],
    "term": [(rf" [-+*/] {OPERAND}{END}", ("",)), (rf" (?:&&|\|\|) !?{OPERAND}{END}", ("",))],
    "index": [(r"(?<=[\w\])]\[)[^\[\]]+(?=\])", ("shifted",))],
    "extreme": [(r"\bmin\b(?=[<(])", ("max",)), (r"\bmax\b(?=[<(])", ("min",))],
    "flow": [(r"\bbreak;", ("continue;",)), (r"\bcontinue;", ("break;", ";"))],
}
STATEMENT = re.compile(r"(?:return;|(?!return\b|throw\b|using\b|delete\b|goto\b|break\b|continue\b|case\b|default\b)"
                       r"[A-Za-z_][\w:.\[\]>()-]*(?:\(.*\)| (?:[-+*/|&^]|<<|>>)?= .*|\+\+)?;|(?:\+\+|--)[\w.\[\]>-]+;)")
# An instantiation that is left out either does not link or changes nothing. What follows a switch over every enumerator
# is never reached. What a vector reserves is a matter of time alone.
SKIPPED = re.compile(r"\s*(?:static_assert|using|namespace|template|public|private|friend|extern|typedef|"
                     r"FORGECHECK_INSTANTIATE\w*|throw_not_an_enumerator|[\w.]+\.reserve)\b")


@dataclass(frozen=True)
class Site:
    """One change of one line of a file."""
    file: str
    line: int  # from 1
    kind: str
    old: str  # the whole line
    new: str


def sites(file, text):
    """Every Site of a file, in the order of its lines."""
    lines = text.splitlines()
    found = []
    for number, (line, code) in enumerate(zip(lines, code_of(text).splitlines()), start=1):
        if not code.strip() or SKIPPED.match(code):
            continue
        changes = [*replaced(line, code), *without_statement(line, code), *forced_branches(line, code)]
        found += [Site(file, number, kind, line, new) for kind, new in dict.fromkeys(changes) if new != line]
    return found


def code_of(text):
    """The text with comments, strings, characters and preprocessor lines blanked, every column in its place."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    literals = r'R"\((?:.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|(?<![\da-fA-F])\'(?:\\.|[^\'\\\n])+\''
    text = re.sub(rf"//[^\n]*|/\*(?:.|\n)*?\*/|{literals}", blank, text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.MULTILINE)


def replaced(line, code):
    for kind, rules in REPLACEMENTS.items():
        for pattern, news in rules:
            for match in re.finditer(pattern, code):
                for new in news:
                    yield kind, line[:match.start()] + changed(new, line[match.start():match.end()]) + line[match.end():]


def changed(new, old):
    """The replacement of `old`: itself, or computed from it."""
    if new == "next":
        return str(int(old) + 1)
    if new == "previous":
        return str(max(int(old) - 1, 0))
    if new == "double":
        return f"(2 * {old})" if float(old.rstrip("f")) else "1.0"
    if new == "shifted":
        return f"{old} + 1"
    return new


def without_statement(line, code):
    """The line without its only statement, where it is whole and declares nothing."""
    statement = code.strip()
    if STATEMENT.fullmatch(statement) and statement.count("(") == statement.count(")"):
        yield "statement", line[:len(line) - len(line.lstrip())] + ";"


def forced_branches(line, code):
    """The line with the condition of its `if` or `?` made true and false."""
    for match in re.finditer(r"\bif \(", code):
        end = closing(code, match.end() - 1)
        if end is None:
            continue
        start = max(match.end(), code.rfind("; ", match.end(), end) + 2)
        for value in ("true", "false"):
            yield "branch", f"{line[:start]}{value}{line[end:]}"
    for match in re.finditer(r" \? ", code):
        for value in ("|| true", "&& false"):
            yield "branch", f"{line[:match.start()]} {value} ? {line[match.end():]}"


def closing(code, opening):
    """Where the parenthesis at `opening` is closed, None if on another line."""
    depth = 0
    for i in range(opening, len(code)):
        depth += (code[i] == "(") - (code[i] == ")")
        if depth == 0:
            return i
    return None
