"""Generates parts of pages from the code: commands, recipes, names and the public API.

A page contains a comment on its own line,

    <!-- generated: commands -->

and Sphinx replaces it by the generated text.
"""

import ast
import dataclasses
import importlib
import inspect
import itertools
import pathlib
import re
from collections.abc import Mapping

import kgan
from kgan.commands import COMMANDS
from kgan.parsing import options_of
from kgan.recipes import RECIPES

ROOT = pathlib.Path(kgan.__file__).parents[1]

MARK = re.compile(r"^<!-- generated: (\w+)((?: [\w.]+)*) -->$", re.MULTILINE)

KERAS_METHODS = {"call", "build", "get_config", "compute_output_shape", "train_step", "test_step", "predict_step"}
"""Methods that every Keras class has; their meaning is Keras'."""


def fill_page(app, docname: str, source: list[str]) -> None:
    """Sphinx' `source-read`: the page's text with every mark replaced."""
    filled = MARK.sub(lambda mark: PARTS[mark[1]](*mark[2].split()), source[0])
    source[0] = CARD.sub(r"](cards.md#\1)", filled)


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """A section for every command: what it does, how it is called, its options in a table."""
    rows = sorted(COMMANDS.values(), key=lambda command: command.place)
    return "\n\n".join(_command(row.name, row.options) for row in rows)


def _command(name: str, options: type) -> str:
    known, meanings = options_of(options), _meanings(options)
    rows = [
        f"| {_spelled(option)} | {_cell(meanings[option.name])}{_choices(option)}{_default(option, options)} |"
        for option in known
    ]
    needed = [_word(option) for option in known if option.is_required or option.is_positional]
    usage = " ".join(["kgan", name, *needed, "[OPTIONS]"])
    table = ["```{table}", ":class: options", "", "| option | meaning |", "| --- | --- |", *rows, "```"]
    return "\n".join([f"## {name}", "", _doc(options), "", "```text", usage, "```", "", *table])


def _word(option) -> str:
    return option.name.upper() if option.is_positional else f"{option.flag} {option.name.upper()}"


def _spelled(option) -> str:
    if option.is_positional:
        return f"`{option.name.upper()}`"
    return f"`{option.flag}`" if option.is_switch else f"`{option.flag} {_kind(option)}`"


def _kind(option) -> str:
    if option.is_path:
        return "PATH"
    if option.wanted.startswith("one of "):
        return "NAME" if option.wanted[len("one of ")].isalpha() else "N"
    return {"a whole number": "N", "a number": "X", "True or False": "BOOL"}.get(option.wanted, "TEXT")


def _meaning(option, options: type, meanings: dict[str, str]) -> str:
    return _cell(meanings[option.name]) + _choices(option) + _default(option, options)


def _choices(option) -> str:
    """The words of an option that takes few."""
    if not option.wanted.startswith("one of "):
        return ""
    return f" One of {', '.join(f'`{word}`' for word in option.wanted.removeprefix('one of ').split(', '))}."


def _default(option, options: type) -> str:
    (field,) = (field for field in dataclasses.fields(options) if field.name == option.name)
    if option.is_required:
        return " Required."
    if option.is_switch or field.default in (None, (), "", dataclasses.MISSING):
        return ""
    return f" Default: `{field.default}`."


def _meanings(options: type) -> dict[str, str]:
    """Field -> its help: the text below it, or that of its annotation."""
    found = {}
    for cls in reversed(options.__mro__[:-1]):
        found |= _texts_below(cls)
    for field in dataclasses.fields(options):
        told = [mark.help for mark in getattr(field.type, "__metadata__", ()) if getattr(mark, "help", None)]
        found |= {field.name: told[0]} if told else {}
    return found


def _texts_below(cls: type) -> dict[str, str]:
    (body,) = ast.parse(inspect.cleandoc(inspect.getsource(cls))).body
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def _cell(text: str) -> str:
    """Flags as code, and no bars, which end a cell."""
    return re.sub(r"(?<![`\w-])(--[a-z][\w-]*(?: [A-Z]+\b)?)", r"`\1`", text).replace("|", "\\|")


def _doc(thing) -> str:
    return inspect.getdoc(thing) or ""


# --- recipes ----------------------------------------------------------------------------------------------------------


def recipe_notes() -> str:
    """Each recipe's own docstring: paper, command, cost, what was measured."""
    return "\n\n".join(_recipe(name, recipe) for name, recipe in RECIPES.items())


def _recipe(name: str, recipe) -> str:
    told = _doc(importlib.import_module(f"kgan.recipes.{name}"))
    return f"### {name}\n\n{_linked(told)}\n\n{_settings(recipe)}"


def _linked(text: str) -> str:
    """Indented commands as blocks; addresses as links and options as code in all other lines."""
    lines = [line if line.startswith("    ") else _marked(line) for line in text.splitlines()]
    text = "\n".join([*lines, ""])
    return re.sub(r"(?:^    .*\n)+", lambda block: f"```text\n{inspect.cleandoc(block[0])}\n```\n", text, flags=re.M)


def _marked(line: str) -> str:
    line = re.sub(r"(?<![<(\[])(https?://[^\s),;]+)", r"<\1>", line)
    return re.sub(r"(?<![`\w-])(--[a-z][\w-]*(?: (?:True|False|[\w.=]*\d))?)", r"`\1`", line)


def _settings(recipe) -> str:
    weights = ", ".join(f"`{term.name}={term.weight:g}`" for term in recipe.terms) or "none"
    judged = f"`{recipe.discriminator}` with `{recipe.adversarial}`" if recipe.discriminator else "none"
    facts = {
        "generator": f"`{recipe.generator}`, {recipe.filters} filters, {recipe.blocks} blocks",
        "discriminator": judged,
        "loss terms beside it": weights,
        "pictures": f"{recipe.pictures}, {recipe.size}x{recipe.size}, batches of {recipe.batch_size}",
        "steps": f"{recipe.steps}",
    }
    return "\n".join(["| default | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts.items())])


# --- model cards ------------------------------------------------------------------------------------------------------


def cards() -> str:
    """The card of every model that comes with kgan, one section each."""
    folders = sorted(path.parent for path in (ROOT / "saved_models").glob("*/README.md"))
    return "\n\n".join(_card(folder) for folder in folders)


def _card(folder: pathlib.Path) -> str:
    text = (folder / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)
    text = text.replace("](samples.jpg)", f"](../saved_models/{folder.name}/samples.jpg)")
    return text.replace("](../../docs/", "](").replace("](../../", "](../")


CARD = re.compile(r"\]\((?:\.\./)+(?:saved_models/)?([\w-]+)/README\.md\)")
"""A link to a model's card in its folder; on the site the cards are sections of one page."""


# --- API --------------------------------------------------------------------------------------------------------------


def members(module_name: str) -> str:
    """Autodoc's directive for each public name of a module."""
    module = importlib.import_module(module_name)
    parts = [_member(module_name, name, getattr(module, name)) for name in module.__all__]
    return "\n\n".join([_rst(f".. automodule:: {module_name}", "   :no-members:"), *parts])


ELSEWHERE = re.compile(r"kgan\.(data|losses|metrics|networks|serving)\b")
"""Modules with a page of their own."""


def _member(module_name: str, name: str, thing) -> str:
    if inspect.ismodule(thing) and not callable(thing):
        return f"`{module_name}.{name}`: see [{thing.__name__}]({name}.md)."
    if inspect.ismodule(thing):  # a package that can be called
        function = f"{module_name}.{name}.{thing.__call__.__name__}"
        return f"`{module_name}.{name}(...)` is `{function}(...)`:\n\n" + _rst(f".. autofunction:: {function}")
    home = ELSEWHERE.match(getattr(thing, "__module__", ""))
    if module_name == "kgan" and home and callable(thing) and name in importlib.import_module(home[0]).__all__:
        return f"`kgan.{name}` is `{home[0]}.{name}`: see [{home[0]}]({home[1]}.md)."
    if inspect.isclass(thing):
        hidden = ", ".join(sorted(KERAS_METHODS))
        lines = [f".. autoclass:: {module_name}.{name}", "   :members:", f"   :exclude-members: {hidden}"]
    elif callable(thing):
        lines = [f".. autofunction:: {module_name}.{name}"]
    elif isinstance(thing, Mapping):
        return _table(name, thing)
    else:
        lines = [f".. autodata:: {module_name}.{name}", "   :no-value:"]
    return _rst(*lines)


def _rst(*lines: str) -> str:
    return "\n".join(["```{eval-rst}", *lines, "```"])


def _table(name: str, kinds: Mapping) -> str:
    """What a table of one kind holds: each name and what it is."""
    rows = [f"| `{key}` | {_cell(_help(value))} |" for key, value in kinds.items()]
    return "\n".join([f"## {name}", "", "| name | |", "| --- | --- |", *rows])


def _help(value) -> str:
    return getattr(value, "help", "") or _doc(value).split("\n\n")[0].replace("\n", " ")


LINK = re.compile(r"\[([^\]]+)\]\((https?://(?:[^()\s]|\([^()]*\))+)\)")


def to_rst(app, what, name, thing, options, lines: list[str]) -> None:
    """Docstrings hold Markdown's links, indented code and |x|, for editors; Sphinx has other marks for them."""
    made, flush = [], ""
    for line in lines:
        starts_code = line.startswith("    ") and not (made and made[-1].strip()) and not flush.startswith((":", ".."))
        if starts_code and not flush.startswith(CODE):
            made += [CODE + ("text" if line.startswith("    kgan ") else "python"), ""]
            flush = CODE
        elif line.strip() and not line.startswith(" "):
            flush = line
        is_code = line.lstrip().startswith((">>>", "...")) or flush.startswith(CODE)
        made.append(line if is_code else _escaped(LINK.sub(r"`\1 <\2>`__", line)))
    lines[:] = made


def _escaped(line: str) -> str:
    """With the bars of |x| and the stars of **settings as they are."""
    return re.sub(r"(?<![\\*\w])\*\*(?=\w+\b(?!\*\*))", r"\*\*", line.replace("|", r"\|"))


def own_signature(app, what, name, thing, options, signature, returned):
    """Sphinx' `autodoc-process-signature`: the arguments of `__init__`, where Keras' `__new__` hides them."""
    if what != "class" or signature != "(*args, **kwargs)":
        return signature, returned
    _, *arguments = inspect.signature(thing.__init__).parameters.values()
    plain = [argument.replace(annotation=inspect.Parameter.empty) for argument in arguments]
    return str(inspect.Signature(plain)), returned


def dashes(app, tree) -> None:
    """Sphinx' `doctree-read`: a dash between an argument and its meaning, where no other two hyphens become one."""
    for text in list(tree.findall(lambda node: getattr(node, "tagname", "") == "#text" and str(node) == " -- ")):
        text.parent.replace(text, type(text)(" – "))


CODE = ".. code-block:: "

PARTS = {"commands": commands, "recipes": recipe_notes, "cards": cards, "members": members}
"""Name of a mark -> what it becomes; a mark's further words are its arguments."""
