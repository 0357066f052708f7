"""Command lines that cannot be read: what is wrong and what was probably meant, in one line."""

import re
from typing import Any, cast

import typer

from synthograph.cli.options import FILE, FROM_FILE
from synthograph.core.config import describe_rule
from synthograph.core.names import nearest

UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""What typer raises; older versions take it from click, newer ones bring their own."""


def explain(error: Exception) -> str:
    """One line about a usage error, with the way out.

    Args:
        error: a `UsageError`; what it knows of option, command and context is used.
    """
    context, option = getattr(error, "ctx", None), getattr(error, "option_name", None)
    parameter = getattr(error, "param", None)
    message = str(getattr(error, "message", "") or error)
    see = f"see '{context.command_path if context is not None else 'synthograph'} --help'"
    command = re.search(r"[Nn]o such command '(.*?)'", message)
    if command is not None and context is not None:
        return f"{command[1]!r} is no command: {nearest(command[1], context.command.commands)}"
    switch = re.search(r"ption '(.*?)' does not take a value", message)
    if switch is not None:
        return f"{switch[1]}: takes no value; write {switch[1]} alone, or leave it out for no"
    if option is not None and "o such option" in message:
        return f"{option}: no such option, {_near_option(option, context) or see}"
    if option is not None and "requires an argument" in message:
        return f"{option}: needs a value; {see}"
    if option is not None and parameter is None:
        return f"{option}: {_lower(message)}; {see}"
    if parameter is not None:
        return _explain_parameter(error, parameter, message, see)
    extra = re.search(r"extra arguments?(?:\(s\))? \((.*)\)", message)
    if extra is not None:
        return f"{extra[1]}: more than the command takes; quote names with spaces, or {see}"
    return f"{_lower(message)}; {see}"


def _explain_parameter(error: Exception, parameter: Any, message: str, see: str) -> str:  # noqa: ANN401
    """A parameter that is missing, or whose value is of another type."""
    option = parameter.param_type_name == "option"
    name = parameter.opts[0] if option else str(parameter.name).upper()
    if "issing" in type(error).__name__:
        return f"{name} is missing: {parameter.help}; {see}"
    context: Any = getattr(error, "ctx", None)
    source = None if context is None else context.get_parameter_source(parameter.name)
    if source is not None and source.name == FROM_FILE:
        name = f"{context.params[FILE]}: {parameter.name}"
    problems: list[Any] = getattr(error.__cause__, "errors", list)()
    if not problems:
        return f"{name}: {_lower(message)}"
    given = str(problems[0].get("input"))
    shown = given if given.replace(".", "").lstrip("-").isalnum() else repr(given)
    return f"{name} {shown}: {describe_rule(problems[0])}"


def _near_option(option: str, context: Any) -> str | None:  # noqa: ANN401
    """The nearest option of the command that is running, if one is near."""
    if context is None:
        return None
    known = [name for parameter in context.command.params for name in parameter.opts]
    ending = nearest(option, [name for name in known if name.startswith("--")])
    return ending if ending.startswith("did you mean") else None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")
